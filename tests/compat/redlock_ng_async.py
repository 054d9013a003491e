"""Takes redlock-ng's `AsyncRedlock`, which asks all nodes at once. It cannot extend."""

import asyncio

from contest import Contest
from redlock import AsyncRedlock


async def main():
    contest = Contest()
    redlock = AsyncRedlock(contest.urls, retry_delay_min=0.001, retry_delay_max=0.02)
    while contest.goes_on():
        lock = await redlock.acquire(contest.resource, contest.ttl_ms, blocking=True)
        if contest.enter():
            await asyncio.sleep(contest.hold_time())
            contest.leave()
        await redlock.release(lock)
        await asyncio.sleep(contest.pause())
    contest.say("done")


asyncio.run(main())
