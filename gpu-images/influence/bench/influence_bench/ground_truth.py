"""Retrainings: random half subsets and one contributor left out, in one process a core."""

import hashlib
import inspect
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import torch
from influence import retraining
from influence.digests import base_digest
from influence.retraining import losses_with, retrain

from . import task as task_module
from .task import Task, fresh_adapter, read_task, sequences


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


def _about(task: Task) -> str:
    """Digest of what a retraining depends on beside its job: rows, base, protocol and the code of the training loop."""
    about = hashlib.sha256((task.folder / "task.json").read_bytes())
    about.update(base_digest(task.folder / "base").encode())
    for module in (retraining, task_module):
        about.update(inspect.getsource(module).encode())
    return about.hexdigest()[:24]


def _known(kept: Path) -> dict[str, list[float]]:
    """Finished jobs of an earlier run; a line that was cut counts as not there."""
    known = {}
    for line in kept.read_text().splitlines() if kept.is_file() else []:
        try:
            record = json.loads(line)
            known[record["job"]] = record["losses"]
        except (ValueError, KeyError):
            continue
    return known


def retrainings(task: Task, jobs: list[tuple[tuple[int, ...], int]], cores: int, what: str, cache: Path) -> torch.Tensor:
    """(jobs, queries) losses, float64, in job order; each is kept in `cache` as soon as it is done."""
    kept = cache / f"losses-{_about(task)}.jsonl"
    known = _known(kept)
    names = [hashlib.sha256(json.dumps(job).encode()).hexdigest()[:24] for job in jobs]
    missing = [n for n, name in enumerate(names) if name not in known]
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn")) as pool, open(kept, "a") as file:
        futures = {pool.submit(_one, str(task.folder), *jobs[n]): names[n] for n in missing}
        for count, future in enumerate(as_completed(futures), 1):
            known[futures[future]] = future.result()
            file.write(json.dumps({"job": futures[future], "losses": future.result()}) + "\n")
            file.flush()
            if count % 10 == 0 or count == len(missing):
                print(f"{what}: {count}/{len(missing)} retrained", file=sys.stderr, flush=True)
    return torch.tensor([known[name] for name in names], dtype=torch.float64)


def half_subsets(rows: int, count: int, seed: int) -> list[tuple[int, ...]]:
    generator = torch.Generator().manual_seed(seed + 77)
    return [tuple(sorted(torch.randperm(rows, generator=generator)[: rows // 2].tolist())) for _ in range(count)]


def left_out(task) -> dict[str, tuple[int, ...]]:
    names = sorted({r["contributor"] for r in task.rows})
    return {name: tuple(i for i, r in enumerate(task.rows) if r["contributor"] != name) for name in names}


@dataclass
class Truth:
    """What retraining says about one draw: losses (subsets, queries) under the adapter's own seed and under new ones,
    and the losses (contributors, queries) without each contributor, mean of the leave-out seeds."""

    subsets: list[tuple[int, ...]]
    same: torch.Tensor
    new: torch.Tensor | None
    names: list[str]
    without: torch.Tensor | None


def measure(task: Task, cores: int, cache: Path, label: str, whole: bool = True) -> Truth:
    """`whole` = False: the subsets under the adapter's own seed alone."""
    subsets = half_subsets(len(task.rows), task.protocol.subsets, task.seed)
    run = lambda jobs, what: retrainings(task, jobs, cores, f"{label}, {what}", cache)
    same = run([(s, task.seed) for s in subsets], "half subsets")
    if not whole:
        return Truth(subsets, same, None, [], None)
    new = run([(s, 10_000 * (task.seed + 1) + n) for n, s in enumerate(subsets)], "half subsets, new seeds")
    left, seeds = left_out(task), [task.seed + 1_000_003 * k for k in range(task.protocol.leave_out_seeds)]
    losses = run([(kept, seed) for kept in left.values() for seed in seeds], "one contributor left out")
    without = losses.view(len(left), len(seeds), -1).mean(1)
    return Truth(subsets, same, new, list(left), without)
