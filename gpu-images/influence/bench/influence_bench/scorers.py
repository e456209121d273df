"""Scores of all queries on all rows: ours through the product's own fit and score, the anchors beside it."""

import math
import time
from collections import Counter
from pathlib import Path

import torch
from influence.adapter import read_adapter
from influence.curvature import learn_rotation, write_features
from influence.fit import fit_store
from influence.gradient_source import GradientSource
from influence.probe import LoraProbe
from influence.score import MethodRows, open_scorer
from influence.settings import Settings

from .task import Task, sequences


def stored(task: Task, out: Path, checkpoints: list[Path], settings: Settings, methods=("ekfac",),
           queries: list[dict] | None = None, normalise: bool = True) -> tuple[dict[str, torch.Tensor], dict]:
    """{method: (queries, rows)} of a fitted store, and what it cost."""
    base = task.base()
    began = time.monotonic()
    made = fit_store(task.folder / "base", checkpoints, task.rows, out, adapter_dir=task.adapter, settings=settings,
                     methods=methods, base=base)
    fitted = time.monotonic() - began
    scorer = open_scorer(out, task.folder / "base", task.adapter, base)
    asked = sequences(queries or task.queries)
    began = time.monotonic()
    coordinates = torch.stack([scorer.coordinates(q)[0] for q in asked])
    passes = time.monotonic() - began
    found = {}
    for method in methods:
        rows = MethodRows(scorer.store, method)
        found[method] = torch.stack([rows.scores(rows.query(c), normalise) for c in coordinates])
    cost = {"fitSeconds": round(fitted, 3), "queryMs": round(1000 * passes / len(asked), 2),
            "bytesPerRow": made["bytesPerRow"], "components": made["components"], "storeBytes": made["bytes"]}
    return found, cost


def features_of(task: Task, checkpoints: list[Path], settings: Settings):
    """(raw features of rows then queries, rotations): the curvature is learned from the rows alone."""
    base, rows = task.base(), sequences(task.rows)
    everything, parts, rotations = rows + sequences(task.queries), [], []
    probe = LoraProbe(base.model, read_adapter(checkpoints[0]))
    for number, folder in enumerate(checkpoints):
        probe.use(read_adapter(folder))
        budget = settings.directions // len(checkpoints)
        rotations.append(learn_rotation(GradientSource(probe, rows, settings), budget, settings, number))
        parts.append(torch.zeros(len(everything), sum(r.count for r in rotations[-1])))
        write_features(GradientSource(probe, everything, settings), rotations[-1], parts[-1])
    return torch.cat(parts, 1), rotations


def uncompressed(task: Task, checkpoints: list[Path], settings: Settings, normalise: bool = False) -> torch.Tensor:
    """The same features without the 512 components and without rounding, float64."""
    features, rotations = features_of(task, checkpoints, settings)
    scale = torch.cat([r.whitening() for c in rotations for r in c]).double()
    white = features.double() * scale
    rows, queries = white[: len(task.rows)], white[len(task.rows):]
    return queries @ (rows / rows.norm(dim=1, keepdim=True) if normalise else rows).T


def tfidf(task: Task) -> torch.Tensor:
    """Cosine over token counts with log inverse document frequency."""
    documents = [Counter(r["input_ids"]) for r in [*task.rows, *task.queries]]
    frequency = Counter(token for d in documents for token in d)
    idf = {t: math.log(len(documents) / f) for t, f in frequency.items()}
    matrix = torch.zeros(len(documents), 1 + max(frequency))
    for n, document in enumerate(documents):
        for token, count in document.items():
            matrix[n, token] = (1 + math.log(count)) * idf[token]
    matrix = torch.nn.functional.normalize(matrix, dim=1)
    return matrix[len(task.rows):] @ matrix[: len(task.rows)].T


def random_projection(task: Task, checkpoints: list[Path], settings: Settings) -> torch.Tensor:
    """Gradient dot product after a Gaussian projection of the last checkpoint's gradients to 512 dimensions."""
    features, _ = features_of(task, checkpoints[-1:], settings)
    generator = torch.Generator().manual_seed(settings.seed)
    seen = features @ torch.randn(features.shape[1], 512, generator=generator)
    return seen[len(task.rows):] @ seen[: len(task.rows)].T
