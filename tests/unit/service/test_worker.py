import asyncio
import threading

import pytest

from interlock.service.worker import Worker


def test_work_is_done_elsewhere_and_its_outcome_comes_back() -> None:
    def fail() -> None:
        raise KeyError("why")

    async def story() -> None:
        worker = Worker("test")
        assert await worker.call(threading.get_ident, timeout_s=10.0) != threading.get_ident()
        with pytest.raises(KeyError, match="why"):
            await worker.call(fail, timeout_s=10.0)
        assert await worker.call(lambda: 3, timeout_s=10.0) == 3
        worker.close()

    asyncio.run(story())


def test_urgent_work_goes_first_and_a_hang_holds_up_nobody_for_longer_than_said() -> None:
    async def story() -> None:
        worker = Worker("test")
        begun, gate, done = threading.Event(), threading.Event(), []

        def hangs() -> None:
            begun.set()
            gate.wait()

        while not begun.is_set():  # where nobody did it in time, nobody does it
            with pytest.raises(TimeoutError):
                await worker.call(hangs, timeout_s=0.01)
        with pytest.raises(TimeoutError):
            await worker.call(lambda: done.append("given up"), timeout_s=0.01)
        first = asyncio.create_task(worker.call(lambda: done.append("first"), timeout_s=10.0))
        await asyncio.sleep(0)
        urgent = asyncio.create_task(worker.call(lambda: done.append("urgent"), timeout_s=10.0, urgent=True))
        await asyncio.sleep(0)
        gate.set()
        await first
        await urgent
        assert done == ["urgent", "first"]
        worker.close()

    asyncio.run(story())


def test_the_thread_ends_when_it_is_no_longer_needed() -> None:
    async def story() -> None:
        worker = Worker("ending")
        await worker.call(lambda: None, timeout_s=10.0)
        (thread,) = [each for each in threading.enumerate() if each.name == "ending"]
        assert thread.daemon
        worker.close()
        await asyncio.to_thread(thread.join)

    asyncio.run(story())
