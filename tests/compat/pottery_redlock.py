"""Takes pottery's `Redlock`. It puts `redlock:` before the name to make the key."""

import time

from contest import Contest
from pottery import Redlock
from redis import Redis


class Impatient(Redlock):
    """Asks again sooner than after up to 200 ms, or it would rarely be its turn."""

    _RETRY_DELAY = 0.02


def main():
    contest = Contest()
    masters = {Redis.from_url(url) for url in contest.urls}
    lock = Impatient(
        key=contest.resource, masters=masters, auto_release_time=contest.ttl_ms / 1000
    )
    while contest.goes_on():
        lock.acquire()
        if contest.enter():
            time.sleep(contest.hold_time())
            if contest.extends():
                lock.extend()
            contest.leave()
        lock.release()
        time.sleep(contest.pause())
    contest.say("done")


main()
