"""Takes redlock-ng's `Redlock`."""

import time

from contest import Contest
from redlock import Redlock


def main():
    contest = Contest()
    redlock = Redlock(contest.urls, retry_delay_min=0.001, retry_delay_max=0.02)
    while contest.goes_on():
        lock = redlock.acquire(contest.resource, contest.ttl_ms, blocking=True)
        if contest.enter():
            time.sleep(contest.hold_time())
            if contest.extends():
                # Where it fails, the lock is held for as long as it was before.
                redlock.extend(lock, contest.ttl_ms)
            contest.leave()
        redlock.release(lock)
        time.sleep(contest.pause())
    contest.say("done")


main()
