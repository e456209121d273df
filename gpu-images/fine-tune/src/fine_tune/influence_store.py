"""Fit the influence store of the new adapter and measure it, by the package `influence` of the neighbouring image."""

from pathlib import Path

import torch

from fine_tune.examples import Example
from fine_tune.job import Job
from fine_tune.refusal import Refusal


# A job that trains fewer tokens than this is over in a minute or two: its scorecard is the quick one.
QUICK_BELOW_TOKENS = 500_000


def fit(base: Path, adapters: list[Path], examples: list[Example], job: Job, model: Path, shown: int) -> tuple[dict | None, dict | None]:
    """Writes `model/influence/`; returns (summary of the store, scorecard), or (None, None) where the job wants none.

    `shown` = tokens that the training went through, repeats included: the size of the job.

    Rows go over as the very tokens and labels that were trained on, so that gradients are of what was learned.
    """
    if not job.influence.get("enabled"):
        return None, None
    try:
        from influence.base_model import load_base
        from influence.errors import InfluenceError
        from influence.fit import fit_store
        from influence.scorecard import QUICK, ScorecardSettings, scorecard_of
        from influence.settings import Settings
    except ImportError as error:
        raise Refusal("no-influence", f"this image lacks the package influence ({error})") from None
    rows = [{"id": e.row.id, "cluster": e.row.cluster, "contributor": e.row.contributor, "input_ids": e.input_ids,
             "labels": e.labels, "text": e.row.text, "sequence": e.row.sequence} for e in examples]
    try:
        loaded = load_base(base, "cuda" if torch.cuda.is_available() else "cpu")
        store = fit_store(base, adapters, rows, model / "influence", adapter_dir=model, base=loaded,
                          settings=Settings(components=int(job.influence["directions"])))
        card = scorecard_of(base, model, model / "influence", rows, base=loaded,
                            settings=QUICK if shown < QUICK_BELOW_TOKENS else ScorecardSettings())
        return store, card
    except InfluenceError as error:
        raise Refusal("influence-failed", str(error)) from error
