"""Who goes to vLLM next. Its own scheduler is first come, first served: fairness and the bound are kept before it."""

from __future__ import annotations

import asyncio

from open_lora.refusals import Refusal
from open_lora.torch_engine.fair_queue import FairQueue, QueueFull


class Admission:
    """`slots` requests at vLLM at once; the others wait in deficit round robin per adapter. One asyncio loop owns it."""

    def __init__(self, slots: int, queue: int, queue_per_adapter: int, seconds: float):
        self.slots, self.seconds = slots, seconds
        self.running = 0
        self.queue: FairQueue[asyncio.Future] = FairQueue(queue, queue_per_adapter)
        self.refused_full = self.refused_timeout = 0

    async def enter(self, flow: str, cost: int) -> None:
        """Returns with a slot, to be given back by `leave`. Raises Refusal queue_full, queue_timeout."""
        if self.running < self.slots and not len(self.queue):
            self.running += 1
            return
        turn: asyncio.Future = asyncio.get_running_loop().create_future()
        try:
            self.queue.add(flow, turn, cost)
        except QueueFull:
            self.refused_full += 1
            raise Refusal("queue_full", "too many requests are waiting", retry_after=2) from None
        try:
            await asyncio.wait_for(turn, self.seconds)
        except asyncio.TimeoutError:  # TimeoutError itself from Python 3.11 on
            self.queue.remove(flow, turn)
            self.refused_timeout += 1
            raise Refusal("queue_timeout", "no slot became free in time", retry_after=2) from None
        except asyncio.CancelledError:
            if not self.queue.remove(flow, turn) and not turn.cancelled():
                self.leave()  # the turn came in the same moment
            raise

    def leave(self) -> None:
        self.running -= 1
        while self.running < self.slots and (taken := self.queue.pop()) is not None:
            if not taken[1].done():
                taken[1].set_result(None)
                self.running += 1
