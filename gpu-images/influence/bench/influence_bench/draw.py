"""One draw measured: every method's scores against the retrainings."""

from dataclasses import dataclass, replace
from pathlib import Path

from influence.settings import Settings
from influence.statistics import mean_and_error

from . import peers
from .ground_truth import Truth
from .measure import ceiling_per_query, lds_per_query, leave_out_hits, recall_at_1
from .scorers import Gradients, Scores, answered, stored, tfidf
from .task import Task

OURS = "ekfac, 514 B"
FROZEN = Settings()  # the product's own; nothing here is chosen by what a second draw says
# What the restriction of real sizes costs: a sketch of every wide side, half its eigenvectors, a quarter of the features.
RESTRICTED = replace(FROZEN, dense_side=48, side_rank=48, features=8192)


@dataclass
class Result:
    """lds: one correlation for each of the protocol's own queries under the same seeds; hits: leave-one-contributor-out,
    0 or 1 for every query."""

    lds: list[float]
    figures: dict
    hits: list[float]


def own_scores(task: Task, scratch: Path) -> dict[str, Scores]:
    gradients = Gradients(task, task.checkpoints, FROZEN)
    last = task.checkpoints[-1:]
    return {
        OURS: stored(task, scratch / "ours", FROZEN),
        "ekfac, 258 B": stored(task, scratch / "four-bits", replace(FROZEN, row_bytes=258)),
        "ekfac, 514 B, absolute": answered(task, scratch / "ours", normalise=False),
        "ekfac, one checkpoint": stored(task, scratch / "one", FROZEN, last),
        "ekfac, restricted": stored(task, scratch / "restricted", RESTRICTED),
        "ekfac, uncompressed": gradients.uncompressed(normalise=True),
        "DataInf": gradients.datainf(),
        "gradient dot": gradients.dot(),
        "random projection 512": gradients.random_projection(task.seed),
        "TF-IDF": tfidf(task),
    }


def peer_scores(task: Task, scratch: Path, cache: Path) -> tuple[dict[str, Scores], dict[str, str]]:
    """Scores of the libraries, and for those without any the reason."""
    python, why = peers.environment(cache / "peers")
    found, missing = {}, {}
    for module, name in (("peer_kronfluence", "kronfluence 1.0.1"), ("peer_bergson", "bergson 2.5.1")):
        scores, failed = peers.ask(python, module, task, scratch / module) if python else ({}, why)
        found |= {f"{name} {setting}": s for setting, s in scores.items()}
        if failed:
            missing[name] = failed
    return found, missing


def judge(scores: Scores, task: Task, truth: Truth) -> Result:
    own = task.protocol.contributors * task.protocol.queries_each
    correlations = lambda losses: lds_per_query(scores.queries[:own], truth.subsets, losses[:, :own])
    lds = correlations(truth.same)
    mean, error = mean_and_error(lds)
    figures, hits = {"lds": round(mean, 4), "ldsError": round(error, 4)}, []
    if truth.new is not None:
        figures["ldsNewSeeds"] = round(mean_and_error(correlations(truth.new))[0], 4)
        hits = leave_out_hits(scores.queries, task.owners, truth.names, truth.without)
        figures["leaveOneOutTop1"] = round(sum(hits) / len(hits), 4)
    figures["nearDuplicateRecall"] = round(recall_at_1(scores.copies, [d["source"] for d in task.duplicates]), 4)
    return Result(lds, figures | scores.cost, hits)


def ceiling(truth: Truth) -> float:
    return round(mean_and_error(ceiling_per_query(truth.same, truth.new))[0], 4)
