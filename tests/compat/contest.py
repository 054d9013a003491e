"""What every contender does, whatever library it takes its locks from: hold, and show that nobody else does.

A contender is called as `CONTENDER URL.. --name NAME --resource NAME --ttl MS --rounds N --inside PATH --log PATH`.
While it holds the lock, and only then, a file of its making is at `--inside`; a file that is there already is a
violation, whatever any clock or node says. Each hold is a line in `--log`; it goes on until there are N, of all.
"""

import argparse
import os
import random
import time


class Contest:
    """One contender's side of it."""

    def __init__(self):
        parser = argparse.ArgumentParser()
        parser.add_argument("urls", nargs="+")
        for option in ("--name", "--resource", "--inside", "--log"):
            parser.add_argument(option, required=True)
        for option in ("--ttl", "--rounds"):
            parser.add_argument(option, required=True, type=int)
        self.options = parser.parse_args()
        self.urls = self.options.urls
        self.resource = self.options.resource
        self.ttl_ms = self.options.ttl
        self.entered = 0.0

    def goes_on(self):
        """Whether there are not enough holds yet."""
        try:
            with open(self.options.log, encoding="utf-8") as log:
                return sum(1 for _ in log) < self.options.rounds
        except FileNotFoundError:
            return True

    def enter(self):
        """The lock is held. Returns whether nobody else was inside; only then `leave` has to be called."""
        try:
            inside = os.open(self.options.inside, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            self.say(f"violation: {self.options.name} met {self.who_is_inside()}")
            return False
        self.entered = time.monotonic()
        for file in (inside, os.open(self.options.log, os.O_CREAT | os.O_APPEND | os.O_WRONLY)):
            os.write(file, f"{self.options.name}\n".encode())
            os.close(file)
        return True

    def leave(self):
        """The lock is about to be released."""
        # The lock is older than that, but by less than the other half of its time.
        if time.monotonic() - self.entered > self.ttl_ms / 2000:
            raise TimeoutError("held for too long: nothing can be said of exclusion")
        os.unlink(self.options.inside)

    def who_is_inside(self):
        try:
            with open(self.options.inside, encoding="utf-8") as inside:
                return inside.read().strip()
        except FileNotFoundError:
            return ""

    @staticmethod
    def hold_time():
        return random.uniform(0, 0.003)

    @staticmethod
    def extends():
        """Whether to extend the lock this time: every library can, and each does it in its own way."""
        return random.random() < 1 / 3

    @staticmethod
    def pause():
        """Else whoever polls more often than the others would never let them in."""
        return random.uniform(0, 0.01)

    @staticmethod
    def say(what):
        print(what, flush=True)
