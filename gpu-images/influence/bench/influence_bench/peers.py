"""Public libraries as peers, in a virtual environment of their own that sees the pinned torch and cannot move it."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import torch

from .scorers import Scores
from .task import Task

KRONFLUENCE, BERGSON = "kronfluence==1.0.1", "bergson==2.5.1"
# What the two import beside torch, transformers and peft; installed without dependencies, so nothing pulls a torch.
_BESIDE = ["einops", "einconv", "opt-einsum", "jaxtyping", "wadler-lindig", "ml_dtypes", "natsort", "petname",
           "simple-parsing", "docstring-parser", "torchopt", "optree"]
_LIMIT_SECONDS = 900


def environment(folder: Path) -> tuple[Path | None, str]:
    """(its interpreter, "") or (None, why there is none)."""
    python, done = folder / "bin" / "python", folder / "ready"
    if not done.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
    site = next((folder / "lib").glob("python*/site-packages"))
    (site / "pinned.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")  # each time: a checkout may have moved
    if done.is_file():
        return python, ""
    made = subprocess.run([python, "-m", "pip", "install", "--no-deps", "--no-input", "--disable-pip-version-check", "-q",
                           KRONFLUENCE, BERGSON, *_BESIDE], capture_output=True, text=True)
    if made.returncode:
        return None, f"pip could not install it: {(made.stderr.strip().splitlines() or ['no reason given'])[-1][:200]}"
    done.touch()
    return python, ""


def ask(python: Path, module: str, task: Task, out: Path) -> tuple[dict[str, Scores], str]:
    """Runs influence_bench.<module>; ({setting: Scores}, "") or ({}, why it failed)."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    bench = str(Path(__file__).resolve().parents[1])
    quiet = {"HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1", "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1"}
    try:
        done = subprocess.run([python, "-m", f"influence_bench.{module}", str(task.folder), str(out)],
                              capture_output=True, text=True, timeout=_LIMIT_SECONDS,
                              env={**os.environ, **quiet, "PYTHONPATH": bench})
    except subprocess.TimeoutExpired:
        return {}, f"not done after {_LIMIT_SECONDS} s"
    if done.returncode:
        print(done.stderr[-3000:], file=sys.stderr)
        return {}, (done.stderr.strip().splitlines() or ["no reason given"])[-1][:200]
    found = torch.load(out / f"{module.removeprefix('peer_')}.pt")
    return {name: Scores(f["scores"]["queries"], f["scores"]["duplicates"], f["cost"]) for name, f in found.items()}, ""
