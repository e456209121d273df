"""Many registered adapters, fewer resident, Zipf traffic through the server; a replica is killed on the way.

Every answer is compared with stock transformers + PEFT, computed apart. Two replicas serve; the client
retries on the other one, as the router does. One replica is killed with SIGKILL in the middle.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import torch
from peft import set_peft_model_state_dict
from processes import Replica, write_base
from safetensors.torch import load_file
from shapes import SMALL
from stock_adapters import stock_peft, write_adapters

TOKENS, RANK, IN_FLIGHT = 6, 4, 32


def measure(seed: int, quick: bool, device: str, say: Callable[[str], None]) -> dict:
    registered, resident, requests = (1000, 100, 2000) if quick else (10_000, 1000, 20_000)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_base(root / "base", SMALL, seed)
        names = [f"a{index:05}" for index in range(registered)]
        write_adapters(root, SMALL, names, RANK, seed, scale=0.3)
        rng = random.Random(seed)
        weights = [1 / (rank + 1) for rank in range(registered)]
        traffic = [(name, [rng.randrange(2, 200) for _ in range(4)]) for name in rng.choices(names, weights, k=requests)]
        say(f"{registered} adapters, {len({name for name, _ in traffic})} of them asked for")
        one = os.path.getsize(root / "adapters" / names[0] / "adapter_model.safetensors") * 2  # rank 4 in a bucket of 8
        limits = ("--device-mb", str(max(1, resident * one >> 20)), "--host-mb", "0", "--device", device, "--queue", "4096")
        replicas = [Replica(root, *limits) for _ in range(2)]
        try:
            out = asyncio.run(_run([replica.ready() for replica in replicas], root, traffic, seed, rng, say))
        finally:
            for replica in replicas:
                if replica.process.poll() is None:
                    replica.__exit__()
    return {"registered": registered, "resident budget": resident, "requests": requests, **out}


async def _run(replicas: list[Replica], root: Path, traffic: list, seed: int, rng: random.Random, say: Callable[[str], None]) -> dict:
    answers: dict[int, list[int]] = {}
    gate, done = asyncio.Semaphore(IN_FLIGHT), 0
    survivor = psutil.Process(replicas[0].process.pid)
    memory: dict[str, int] = {}
    retried = 0
    async with httpx.AsyncClient(timeout=60) as client:

        async def one(index: int) -> None:
            nonlocal done, retried
            name, prompt = traffic[index]
            body = {"model": name, "prompt": prompt, "max_tokens": TOKENS, "temperature": 0, "ignore_eos": True, "openledger": {"transcript": True}}
            async with gate:
                order = rng.sample(replicas, 2)
                for attempt in range(6):
                    try:
                        reply = await client.post(f"{order[attempt % 2].url}/v1/completions", json=body)
                        if reply.status_code == 200:
                            answers[index] = [token["id"] for token in reply.json()["openledger"]["output_tokens"]]
                            break
                    except httpx.HTTPError:
                        pass
                    retried += 1
                    await asyncio.sleep(0.05 * attempt)
            done += 1
            if done == len(traffic) // 2:  # by now each replica's adapter memory is full
                memory["before the kill"] = _own_memory(survivor)
                replicas[1].process.kill()
            if done == len(traffic) * 3 // 5:  # twice the requests at once make larger batches: a step, not a leak
                memory["warm"] = _own_memory(survivor)

        await asyncio.gather(*(one(index) for index in range(len(traffic))))
        memory["end"] = _own_memory(survivor)
        stats = (await client.get(f"{replicas[0].url}/residency")).json()
    say(f"comparing with stock transformers + PEFT: {memory}")
    wrong = _wrong(root, SMALL, seed, traffic, answers)
    return {
        "wrong answers": wrong, "lost requests": len(traffic) - len(answers), "retried after the kill": retried,
        "memory growth after warm-up": round(memory["end"] / memory["warm"] - 1, 4),
        "memory growth with the kill": round(memory["end"] / memory["before the kill"] - 1, 4), "resident at the end": stats["device_adapters"],
        "evictions": stats["evictions"], "device MB": round(stats["device_bytes"] / 1e6, 1),
    }  # fmt: skip


def _own_memory(process: psutil.Process) -> int:
    """Bytes that are the process's own (anonymous). Pages of mapped files, some 120 MB of libraries here, come and go as the
    kernel likes; where it does not tell them apart they count."""
    info = process.memory_info()
    return info.rss - getattr(info, "shared", 0)


@torch.no_grad()
def _wrong(root: Path, shape: dict, seed: int, traffic: list, answers: dict[int, list[int]]) -> int:
    model = stock_peft(shape, RANK, seed)
    by_name: dict[str, list[int]] = {}
    for index in answers:
        by_name.setdefault(traffic[index][0], []).append(index)
    wrong = 0
    for name, indices in by_name.items():
        set_peft_model_state_dict(model, load_file(root / "adapters" / name / "adapter_model.safetensors"))
        ids = torch.tensor([traffic[index][1] for index in indices])
        for _ in range(TOKENS):
            ids = torch.cat([ids, model(input_ids=ids).logits[:, -1:].argmax(-1)], 1)
        wrong += sum(answers[index] != row[-TOKENS:] for index, row in zip(indices, ids.tolist(), strict=True))
    return wrong
