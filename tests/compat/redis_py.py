"""Takes redis-py's `Lock`: on one node as it is, on several as a majority of one lock per node."""

import time

import redis
from contest import Contest


def acquire(locks):
    while True:
        held = [lock for lock in locks if lock.acquire()]
        if len(held) > len(locks) // 2:
            return held
        release(held)
        time.sleep(Contest.pause())


def release(held):
    for lock in held:
        lock.release()


def main():
    contest = Contest()
    nodes = [redis.Redis.from_url(url) for url in contest.urls]
    waits = {"blocking": True, "sleep": 0.005} if len(nodes) == 1 else {"blocking": False}
    locks = [node.lock(contest.resource, timeout=contest.ttl_ms / 1000, **waits) for node in nodes]
    while contest.goes_on():
        held = acquire(locks)
        if contest.enter():
            time.sleep(contest.hold_time())
            if contest.extends():
                for lock in held:
                    lock.extend(contest.ttl_ms / 1000, replace_ttl=True)
            contest.leave()
        release(held)
        time.sleep(contest.pause())
    contest.say("done")


main()
