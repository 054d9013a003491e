"""Takes aioredlock's locks."""

import asyncio

from aioredlock import Aioredlock, LockError
from contest import Contest


async def acquire(manager, contest):
    while True:
        try:
            lock = await manager.lock(contest.resource, lock_timeout=contest.ttl_ms / 1000)
            if contest.extends():
                # Before anybody relies on the lock: where it fails, aioredlock gives it back.
                await manager.extend(lock)
            return lock
        except LockError:
            await asyncio.sleep(contest.pause())


async def main():
    contest = Contest()
    manager = Aioredlock(contest.urls, retry_delay_min=0.001, retry_delay_max=0.02)
    while contest.goes_on():
        lock = await acquire(manager, contest)
        if contest.enter():
            await asyncio.sleep(contest.hold_time())
            contest.leave()
        await manager.unlock(lock)
        await asyncio.sleep(contest.pause())
    await manager.destroy()
    contest.say("done")


asyncio.run(main())
