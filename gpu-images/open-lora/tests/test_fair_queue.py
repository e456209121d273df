from __future__ import annotations

import pytest

from open_lora.torch_engine.fair_queue import FairQueue, QueueFull


def test_a_long_line_delays_others_by_a_quantum_only():
    queue: FairQueue[int] = FairQueue(1000, 1000, quantum=100)
    for item in range(200):
        queue.add("hot", item, 100)
    queue.add("cold", -1, 100)
    order = [queue.pop()[0] for _ in range(6)]
    assert "cold" in order[:3]


def test_shares_are_equal_in_tokens_not_in_requests():
    queue: FairQueue[int] = FairQueue(10_000, 10_000, quantum=256)
    for item in range(400):
        queue.add("short", item, 50)
        queue.add("long", item, 500)
    served = {"short": 0, "long": 0}
    for _ in range(220):
        flow, _ = queue.pop()
        served[flow] += 50 if flow == "short" else 500
    assert 0.7 < served["short"] / served["long"] < 1.4


def test_order_within_a_flow_is_kept_and_all_come_out():
    queue: FairQueue[int] = FairQueue(100, 100)
    for item in range(30):
        queue.add(f"f{item % 3}", item, 1 + item * 37)
    out = [queue.pop() for _ in range(30)]
    assert queue.pop() is None and len(queue) == 0
    for flow in ("f0", "f1", "f2"):
        mine = [item for name, item in out if name == flow]
        assert mine == sorted(mine) and len(mine) == 10


def test_bounds_for_all_and_per_flow():
    queue: FairQueue[int] = FairQueue(5, 2)
    for item in range(2):
        queue.add("a", item, 1)
    with pytest.raises(QueueFull):
        queue.add("a", 2, 1)
    for flow in "bcd":
        queue.add(flow, 0, 1)
    with pytest.raises(QueueFull):
        queue.add("e", 0, 1)
    queue.add("a", 9, 1, resumed=True)
    assert queue.pop() == ("a", 9)


def test_only_allowed_flows_and_removal():
    queue: FairQueue[str] = FairQueue(10, 10)
    queue.add("a", "x", 5000)
    queue.add("b", "y", 5000)
    assert queue.pop(lambda flow: flow == "b") == ("b", "y")
    assert queue.pop(lambda flow: flow == "b") is None
    assert not queue.remove("a", "nothing") and queue.remove("a", "x") and len(queue) == 0
