"""Retrainings: random half subsets and one contributor left out, in one process a core."""

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import torch
from influence.retraining import losses_with, retrain

from .task import fresh_adapter, read_task, sequences


@lru_cache(maxsize=1)
def _loaded(folder: str):
    torch.set_num_threads(1)
    task = read_task(Path(folder))
    return task, task.base().model, sequences(task.rows), sequences(task.queries)


def _one(folder: str, kept: tuple[int, ...], seed: int) -> list[float]:
    """Losses of the queries after training on `kept` with this seed (init and order)."""
    task, model, rows, queries = _loaded(folder)
    start = fresh_adapter(model, seed)
    (trained,) = retrain(model, start, rows, set(kept), task.protocol.schedule(seed))
    return losses_with(model, trained, queries, 4096).tolist()


def retrainings(folder: Path, jobs: list[tuple[tuple[int, ...], int]], cores: int, what: str) -> torch.Tensor:
    """(jobs, queries) losses, float64, in job order."""
    os.environ["OMP_NUM_THREADS"] = "1"
    done = []
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_one, str(folder), kept, seed) for kept, seed in jobs]
        for n, future in enumerate(futures, 1):
            done.append(future.result())
            if n % 10 == 0 or n == len(jobs):
                print(f"{what} {n}/{len(jobs)}", file=sys.stderr, flush=True)
    return torch.tensor(done, dtype=torch.float64)


def half_subsets(rows: int, count: int, seed: int) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(seed + 77)
    return [tuple(sorted(torch.randperm(rows, generator=generator)[: rows // 2].tolist())) for _ in range(count)]


def left_out(task) -> dict[str, tuple[int, ...]]:
    names = sorted({r["contributor"] for r in task.rows})
    return {name: tuple(i for i, r in enumerate(task.rows) if r["contributor"] != name) for name in names}
