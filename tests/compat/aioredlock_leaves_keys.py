"""Shows that aioredlock leaves keys behind by itself: a denied lock is undone in the background, after `lock` has failed,
and a program that ends then does not undo it. Exits with 1 if it is so. Nobody but aioredlock takes a lock here; a plain
key on three nodes is what it is denied for.

    cargo run -p quorlock-testkit --bin nodes -- 5 target/compat/aioredlock/bin/python tests/compat/aioredlock_leaves_keys.py
"""

import asyncio
import os
import subprocess
import sys

from aioredlock import Aioredlock, LockError

URLS = os.environ["QUORLOCK_NODES"].split(",")


def redis_cli(url, *command):
    command = ["redis-cli", "--no-auth-warning", "-u", url, *command]
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.strip()


async def be_denied():
    try:
        await Aioredlock(URLS).lock("resource", lock_timeout=10)
    except LockError:
        return
    raise RuntimeError("it got the lock")


def main():
    for url in URLS[:3]:
        redis_cli(url, "set", "resource", "somebody", "px", "10000")
    asyncio.run(be_denied())
    left = [(redis_cli(url, "get", "resource"), redis_cli(url, "pttl", "resource")) for url in URLS[3:]]
    for value, milliseconds in left:
        print(f"{value or 'nothing'}, for {milliseconds} ms more")
    sys.exit(any(value for value, _ in left))


main()
