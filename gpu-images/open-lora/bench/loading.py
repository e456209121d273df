"""Loading: a warm adapter into a slot of the running batch, per MB; PEFT's `add_adapter` beside it.

On a CPU the unit is CPU time of the loading thread (a busy machine preempts it); the wall clock stands beside it.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from peft import LoraConfig, get_peft_model
from shapes import MIDDLE, make_model
from throughput import ALL, Ours

from open_lora.torch_engine.lora_rows import LoraRows


def measure(seed: int, quick: bool, device: str, say: Callable[[str], None]) -> dict:
    """Milliseconds per MB of adapter."""
    clock = time.perf_counter if device == "cuda" else time.thread_time
    ours = Ours(seed, device)
    adapters = ours.adapters(8, 64)
    megabytes = adapters[0].bytes / 1e6
    rows = LoraRows(ours.base.dtype, ours.base.device)
    for adapter in adapters[:16]:
        rows.join(adapter)
    times, walls = [], []
    with torch.inference_mode():
        for index in range(500 if quick else 5000):
            rows.leave(15)
            began, wall = clock(), time.perf_counter()
            rows.join(adapters[index % 64])
            if device == "cuda":
                torch.cuda.synchronize()
            times.append((clock() - began) * 1000 / megabytes)
            walls.append((time.perf_counter() - wall) * 1000 / megabytes)
    times.sort()
    walls.sort()
    config = LoraConfig(r=8, target_modules=ALL, init_lora_weights=False)
    model = get_peft_model(make_model(MIDDLE, seed, device), config, adapter_name="a0")
    peer = []
    for index in range(10):
        began = clock()
        model.add_adapter(f"b{index}", config)
        peer.append((clock() - began) * 1000 / megabytes)
    out = {
        "unit": "ms per MB" if device == "cuda" else "CPU ms per MB", "adapter MB": round(megabytes, 2), "warm slot load p50": round(statistics.median(times), 3),
        "warm slot load p99": round(times[int(len(times) * 0.99)], 3), "PEFT add_adapter p50": round(statistics.median(peer), 2),
        "wall clock p50": round(statistics.median(walls), 3), "wall clock p99": round(walls[int(len(walls) * 0.99)], 3),
    }  # fmt: skip
    say(f"loading: {out}")
    return out
