"""Fit the influence store of the new adapter, by the package `influence` of the neighbouring image."""

from pathlib import Path

import torch

from fine_tune.examples import Example
from fine_tune.job import Job
from fine_tune.refusal import Refusal


def fit(base: Path, adapters: list[Path], examples: list[Example], job: Job, model: Path) -> dict | None:
    """Writes `model/influence/`; returns its summary, or None where the job wants none.

    Rows go over as the very tokens and labels that were trained on, so that gradients are of what was learned.
    """
    if not job.influence.get("enabled"):
        return None
    try:
        from influence.errors import InfluenceError
        from influence.fit import fit_store
        from influence.settings import Settings
    except ImportError as error:
        raise Refusal("no-influence", f"this image lacks the package influence ({error})") from None
    rows = [{"id": e.row.id, "cluster": e.row.cluster, "contributor": e.row.contributor, "input_ids": e.input_ids,
             "labels": e.labels} for e in examples]
    try:
        return fit_store(base, adapters, rows, model / "influence", adapter_dir=model,
                         settings=Settings(components=int(job.influence["directions"])),
                         device="cuda" if torch.cuda.is_available() else "cpu")
    except InfluenceError as error:
        raise Refusal("influence-failed", str(error)) from error
