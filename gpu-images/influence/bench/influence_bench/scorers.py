"""Scores of queries on all rows: ours through the product's own fit and score, the simple peers beside it."""

import math
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from influence.adapter import read_adapter
from influence.curvature import learn_rotations, write_features
from influence.feature_map import raw_map
from influence.fit import fit_store
from influence.gradient_source import GradientSource
from influence.methods import datainf_block
from influence.probe import LoraProbe
from influence.rotation import MatrixRotation
from influence.score import MethodRows, open_scorer
from influence.settings import Settings

from .task import Task, sequences


@dataclass
class Scores:
    """(queries, rows) and (edited copies, rows), helpful positive; cost: what fit and query took."""

    queries: torch.Tensor
    copies: torch.Tensor
    cost: dict = field(default_factory=dict)


def stored(task: Task, out: Path, settings: Settings, checkpoints: list[Path] | None = None) -> Scores:
    """Ours: fit_store, then one query at a time."""
    base = task.base()
    began = time.process_time()
    made = fit_store(task.folder / "base", checkpoints or task.checkpoints, task.rows, out, adapter_dir=task.adapter,
                     settings=settings, base=base)
    fitted = time.process_time() - began
    scores = answered(task, out)
    return Scores(scores.queries, scores.copies, {
        "fitSeconds": round(fitted, 3), **scores.cost, "bytesPerRow": made["bytesPerRow"],
        "components": made["components"], "storeBytes": made["bytes"]})


def answered(task: Task, store: Path, normalise: bool = True) -> Scores:
    """What a store made by `stored` answers; normalise = RelatIF."""
    scorer = open_scorer(store, task.folder / "base", task.adapter, task.base())
    rows = MethodRows(scorer.store, "ekfac")
    ask = lambda records: torch.stack([rows.scores(rows.query(scorer.features(s)[0]), normalise)
                                       for s in sequences(records)])
    began = time.process_time()
    queries = ask(task.queries)
    milliseconds = 1000 * (time.process_time() - began) / len(queries)
    return Scores(queries, ask(task.duplicates), {"queryMs": round(milliseconds, 2)})


class Gradients:
    """All coordinates of all rows, queries and copies, one tensor a checkpoint, nothing sketched or cut; the curvature
    is the rows' alone."""

    def __init__(self, task: Task, checkpoints: list[Path], settings: Settings):
        self.rows, self.asked, self.copied = len(task.rows), len(task.queries), len(task.duplicates)
        everything = sequences([*task.rows, *task.queries, *task.duplicates])
        whole = replace(settings, side_rank=1 << 20, dense_side=1 << 20)
        probe = LoraProbe(task.base().model, read_adapter(checkpoints[0]))
        self.rotations: list[list[MatrixRotation]] = []
        self.features: list[torch.Tensor] = []
        for number, folder in enumerate(checkpoints):
            probe.use(read_adapter(folder))
            rotations = learn_rotations(GradientSource(probe, everything[: self.rows], whole), whole, number)
            mapping = raw_map(rotations, 1 << 40, 0)
            self.rotations.append(rotations)
            self.features.append(torch.zeros(len(everything), mapping.width))
            source = GradientSource(probe, everything, whole)
            source.turn(rotations)
            write_features(source, [(mapping, self.features[-1])])

    def _scores(self, asked: torch.Tensor, rows: torch.Tensor, cost: dict) -> Scores:
        queries, copies = asked[self.rows :].split([self.asked, self.copied])
        return Scores(queries @ rows.T, copies @ rows.T, cost)

    def uncompressed(self, normalise: bool) -> Scores:
        """Our features, all of them and not rounded, float64."""
        scale = [torch.cat([r.whitening() for r in c]).double() for c in self.rotations]
        white = torch.cat([f.double() * s for f, s in zip(self.features, scale)], 1)
        rows = white[: self.rows]
        return self._scores(white, rows / rows.norm(dim=1, keepdim=True) if normalise else rows,
                            {"bytesPerRow": 4 * white.shape[1]})

    def dot(self) -> Scores:
        last = self.features[-1]
        return self._scores(last, last[: self.rows], {"bytesPerRow": 4 * last.shape[1]})

    def datainf(self) -> Scores:
        last, blocks, start = self.features[-1], [], 0
        for rotation in self.rotations[-1]:
            blocks.append(datainf_block(last[: self.rows, start : start + rotation.count], rotation.damping))
            start += rotation.count
        return self._scores(last, torch.cat(blocks, 1), {"bytesPerRow": 4 * last.shape[1]})

    def random_projection(self, seed: int) -> Scores:
        """Gradient dot product after a Gaussian projection of the last checkpoint's gradients to 512 dimensions."""
        matrix = torch.randn(self.features[-1].shape[1], 512, generator=torch.Generator().manual_seed(seed))
        seen = self.features[-1] @ matrix
        return self._scores(seen, seen[: self.rows], {"bytesPerRow": 2048})


def tfidf(task: Task) -> Scores:
    """Cosine over token counts with log inverse document frequency of the rows."""
    frequency = Counter(token for r in task.rows for token in set(r["input_ids"]))
    idf = {t: math.log(len(task.rows) / f) for t, f in frequency.items()}
    width = 1 + max(t for r in [*task.rows, *task.queries, *task.duplicates] for t in r["input_ids"])

    def vectors(records: list[dict]) -> torch.Tensor:
        matrix = torch.zeros(len(records), width)
        for n, record in enumerate(records):
            for token, count in Counter(record["input_ids"]).items():
                matrix[n, token] = (1 + math.log(count)) * idf.get(token, 0.0)
        return torch.nn.functional.normalize(matrix, dim=1)

    rows = vectors(task.rows).T
    return Scores(vectors(task.queries) @ rows, vectors(task.duplicates) @ rows, {"bytesPerRow": "the text"})
