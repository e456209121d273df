"""Seconds, bytes and memory of fit and query."""

import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from influence.adapter import read_adapter
from influence.fit import fit_store
from influence.quantise import quantise, tiers
from influence.retraining import Schedule, retrain
from influence.score import open_scorer, stored_scores

from .draw import FROZEN
from .task import Task, sequences

MANY = 100_000


def _best(call, times: int) -> float:
    """Least CPU seconds of several calls: what the work takes when nothing else disturbs it."""
    spent = []
    for _ in range(times):
        began = time.process_time()
        call()
        spent.append(time.process_time() - began)
    return min(spent)


def dot_products(components: int, row_bytes: int) -> float:
    """ms for the scores of 100,000 stored rows against one query, one core."""
    torch.manual_seed(0)
    kept = tiers(components, row_bytes)
    some, query = quantise(torch.randn(MANY // 10, components), kept), torch.randn(components)
    codes, factors = some.codes.repeat(10, 1), (some.scales.float() * some.unit).repeat(10, 1)
    return round(1000 * _best(lambda: stored_scores(codes, factors, kept, query), 7), 2)


def backward_passes(task: Task, store: Path) -> float:
    """ms of one query's forward and backward passes and rotation, all checkpoints."""
    scorer = open_scorer(store, task.folder / "base", task.adapter, task.base())
    asked = sequences(task.queries)[:12]
    scorer.features(asked[0])
    return round(1000 * _best(lambda: [scorer.features(q) for q in asked], 3) / len(asked), 2)


def epoch_and_fit(task: Task, out: Path) -> tuple[float, float]:
    """CPU seconds of one epoch of the training that made the adapter, the optimizer included, and of a fit: the least of
    three each, in turns, as one machine's pace changes within minutes."""
    protocol, rows, model = task.protocol, sequences(task.rows), task.base().model
    schedule = Schedule(len(rows) // protocol.batch_rows, protocol.batch_rows, protocol.learning_rate, task.seed)
    start = read_adapter(task.checkpoints[0])
    base, spent = task.base(), []
    epoch = lambda: retrain(model, start, rows, set(range(len(rows))), schedule)
    fit = lambda: fit_store(task.folder / "base", task.checkpoints, task.rows, out, adapter_dir=task.adapter, base=base)
    for _ in range(3):
        spent.append((_best(epoch, 1), _best(fit, 1)))
    return tuple(round(min(each), 3) for each in zip(*spent))


def peak_bytes() -> int:
    """Peak resident bytes of this process alone: on Linux ru_maxrss also remembers the process that started it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    high = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), None)
    return 1024 * int(high or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def peak_memory(task: Task, out: Path) -> dict:
    """Peak resident bytes of a process that loads the model, and of one that also fits."""
    code = ("import sys, json, torch; torch.set_num_threads(1)\n"
            "from pathlib import Path; from influence_bench.task import read_task\n"
            "from influence.fit import fit_store; task = read_task(Path(sys.argv[1])); base = task.base()\n"
            "if len(sys.argv) > 2: fit_store(task.folder / 'base', task.checkpoints, task.rows, sys.argv[2], "
            "adapter_dir=task.adapter, base=base)\n"
            "from influence_bench.costs import peak_bytes; print(peak_bytes())")
    peak = lambda *args: int(subprocess.run([sys.executable, "-c", code, str(task.folder), *args], check=True,
                                            capture_output=True, text=True).stdout.split()[-1])
    loaded, fitted = peak(), peak(str(out))
    return {"modelBytes": loaded, "fitBytes": fitted, "fitAboveModelBytes": fitted - loaded}


def measure_costs(task: Task, store: Path, scratch: Path, results: dict) -> dict:
    """results: of the draw that `store` was fitted in, by method."""
    kronfluence = next((r.figures for r in results.values() if "oneQuerySecondsAtManyRows" in r.figures), None)
    many, passes = task.protocol.many_rows, backward_passes(task, store)
    products = dot_products(FROZEN.components, FROZEN.row_bytes)
    epoch, fit = epoch_and_fit(task, scratch / "again")
    beside = {"why": "kronfluence did not run"}
    if kronfluence:
        own = (passes + products * many / MANY) / 1000
        theirs = kronfluence["oneQuerySecondsAtManyRows"]
        beside = {"rows": many, "oursSeconds": round(own, 4), "kronfluenceSeconds": theirs, "ratio": round(theirs / own, 1)}
    return {"backwardPassesMs": passes, "dotProductsMs": products, "epochSeconds": epoch,
            "fitSeconds": fit, "kronfluence": beside, "memory": peak_memory(task, scratch / "memory"),
            "fitPerEpoch": round(fit / (epoch * len(task.checkpoints)), 3)}


def machine() -> dict:
    """{"cpu","cores","gpu"} as acceptance.md has it."""
    names = [line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")] if Path("/proc/cpuinfo").is_file() else []
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": names[0] if names else platform.processor(), "cores": os.cpu_count(), "gpu": gpu}
