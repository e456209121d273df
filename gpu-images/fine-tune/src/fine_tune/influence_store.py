"""Fit the influence store of the new adapter and measure it, by the package `influence` of the neighbouring image."""

import time
from pathlib import Path

import torch

from fine_tune.examples import Example
from fine_tune.job import Job
from fine_tune.refusal import Refusal


# A job that trains fewer tokens than this is over in a minute or two: its scorecard is the quick one.
QUICK_BELOW_TOKENS = 500_000


def require(job: Job) -> None:
    """Refused before anything is trained: a job whose influence nobody here can fit."""
    if not job.influence.get("enabled"):
        return
    try:
        import influence.fit
        import influence.scorecard  # noqa: F401
    except ImportError as error:
        raise Refusal("no-influence", f"this image lacks the package influence ({error})") from None


def fit(base: Path, adapters: list[Path], examples: list[Example], job: Job, model: Path, shown: int) -> tuple[dict | None, dict | None, dict]:
    """Writes `model/influence/`; returns (summary of the store, scorecard, what both took), or (None, None, {}) where
    the job wants none.

    `shown` = tokens that the training went through, repeats included: the size of the job.

    Rows go over as the very tokens and labels that were trained on, so that gradients are of what was learned.
    """
    if not job.influence.get("enabled"):
        return None, None, {}
    from influence.base_model import load_base
    from influence.errors import InfluenceError
    from influence.fit import fit_store
    from influence.scorecard import QUICK, ScorecardSettings, scorecard_of
    from influence.settings import Settings

    rows = [{"id": e.row.id, "cluster": e.row.cluster, "contributor": e.row.contributor, "input_ids": e.input_ids,
             "labels": e.labels, "text": e.row.text, "sequence": e.row.sequence} for e in examples]
    try:
        began = time.process_time()
        loaded = load_base(base, "cuda" if torch.cuda.is_available() else "cpu")
        store = fit_store(base, adapters, rows, model / "influence", adapter_dir=model, base=loaded,
                          settings=Settings(components=int(job.influence["directions"])))
        fitted = time.process_time()
        card = scorecard_of(base, model, model / "influence", rows, base=loaded,
                            settings=QUICK if shown < QUICK_BELOW_TOKENS else ScorecardSettings())
        spent = {"fitSeconds": store["seconds"], "fitCpuSeconds": round(fitted - began, 3),
                 "scorecardCpuSeconds": round(time.process_time() - fitted, 3), "storeBytes": store["bytes"],
                 "fitMemoryBytes": store["memoryBytes"]}
        return store, card, spent
    except InfluenceError as error:
        raise Refusal("influence-failed", str(error)) from error
