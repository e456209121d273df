"""Scorecard of an adapter: how well its influence scores predict retraining, in a short form made in the training job.

What it is: edited copies (25% of the tokens changed) of up to `queries` training rows are the outputs; the LoRA
weights of the earliest kept checkpoint are trained on (continued_training.py) with random half subsets of up to `rows`
rows, each row met once, all in the same order; LDS = mean Spearman correlation, over the queries, between the sum of the scores of a
subset's rows and the measured loss (sign turned). What it is not: retraining from scratch on held-out queries (that
is `npm run bench:influence`). With few subsets and queries the LDS has an error, so the error is part of the card:
between queries and, since all queries share the subsets, a jackknife over the subsets; `confidence` is the LDS less
one such error. The work is fixed by counts, never by the clock: the same adapter gets the same card.
"""

from dataclasses import dataclass

import torch

from .base_model import Base
from .continued_training import ContinuedTraining
from .retraining import Schedule, losses_with
from .rows import Sequence, Window, to_sequence
from .score import Scorer, open_scorer
from .statistics import mean_and_error, spearman

UNIT = 1 << 20


@dataclass(frozen=True)
class ScorecardSettings:
    queries: int = 16
    subsets: int = 16
    contributors: int = 6  # leave-one-contributor-out retrainings, at most
    rows: int = 96  # rows that take part in the retrainings, at most
    tokens: int = 48  # of a row, at most
    batch_rows: int = 8
    learning_rate: float = 1e-3
    seed: int = 7


# For training jobs of under a minute: about half of the work and a larger error.
QUICK = ScorecardSettings(queries=12, subsets=12, contributors=4, rows=64, tokens=40)


def edited_copy(sequence: Sequence, share: float, seed: int, vocabulary_pool: list[int]) -> Sequence:
    """A near-duplicate: `share` of the tokens replaced by tokens of other rows."""
    generator = torch.Generator().manual_seed(seed)
    windows = []
    for window in sequence.windows:
        tokens = list(window.tokens)
        changed = torch.randperm(len(tokens), generator=generator)[: max(1, round(share * len(tokens)))].tolist()
        for at in changed:
            tokens[at] = vocabulary_pool[int(torch.randint(len(vocabulary_pool), (1,), generator=generator))]
        windows.append(Window(tuple(tokens), window.targets))
    return Sequence(f"{sequence.id}~", tuple(windows), sequence.cluster, sequence.contributor)


def _shortened(sequence: Sequence, limit: int) -> Sequence:
    """The first window, cut to `limit` tokens around the first counted ones."""
    window = sequence.windows[0]
    start = max(0, min(window.targets[0] - limit // 2, len(window.tokens) - limit))
    targets = tuple(t - start for t in window.targets if start < t < start + limit)
    return Sequence(sequence.id, (Window(window.tokens[start : start + limit], targets),), sequence.cluster,
                    sequence.contributor)


def _spread(count: int, wanted: int) -> list[int]:
    """`wanted` positions spread evenly over range(count)."""
    return sorted({i * count // wanted for i in range(min(wanted, count))}) if count >= wanted else list(range(count))


class _Trial:
    """The rows, queries and predicted scores of one scorecard, and its retrainings."""

    def __init__(self, scorer: Scorer, sequences: list[Sequence], settings: ScorecardSettings, method: str):
        usable = [i for i, s in enumerate(sequences) if s.windows]
        self.settings, self.model = settings, scorer.base.model
        self.at = [usable[i] for i in _spread(len(usable), settings.rows)]
        self.rows = [_shortened(sequences[i], settings.tokens) for i in self.at]
        pool = [t for row in self.rows for t in row.windows[0].tokens]
        self.sources = _spread(len(self.rows), settings.queries)
        self.queries = [edited_copy(self.rows[s], 0.25, settings.seed + s, pool) for s in self.sources]
        whole = [scorer.score(query, method).scores for query in self.queries]
        self.found = [int(w.argmax()) == self.at[s] for w, s in zip(whole, self.sources)]
        self.scores = torch.stack(whole)[:, self.at].double()
        batch = min(settings.batch_rows, len(self.rows))
        schedule = Schedule(-(-len(self.rows) // batch), batch, settings.learning_rate, settings.seed)
        self.training = ContinuedTraining(self.model, scorer.checkpoints[0], self.rows, schedule)

    def measured(self, kept: set[int]) -> torch.Tensor:
        return losses_with(self.model, self.training.run(kept), self.queries, 2048)

    def lds(self) -> torch.Tensor:
        """(queries, subsets + 1): a correlation per query over all subsets, then without each of them in turn."""
        generator, half = torch.Generator().manual_seed(self.settings.seed), len(self.rows) // 2
        subsets = [torch.randperm(len(self.rows), generator=generator)[:half] for _ in range(self.settings.subsets)]
        losses = torch.stack([self.measured(set(s.tolist())) for s in subsets])
        predicted = torch.stack([self.scores[:, s].sum(1) for s in subsets])
        over = lambda q, kept: spearman(predicted[kept, q], -losses[kept, q])
        keeps = [torch.arange(len(subsets)) != left_out for left_out in range(-1, len(subsets))]
        return torch.tensor([[over(q, kept) for kept in keeps] for q in range(len(self.queries))], dtype=torch.float64)

    def leave_one_out(self) -> list[bool]:
        """For each query: is the contributor with the largest summed score the one whose absence hurts most?"""
        owners = [row.contributor for row in self.rows]
        groups = sorted(set(owners), key=lambda c: (-owners.count(c), c))[: self.settings.contributors]
        if len(groups) < 2:
            return []
        without = [{i for i, owner in enumerate(owners) if owner != group} for group in groups]
        losses = torch.stack([self.measured(kept) for kept in without])
        sums = torch.stack([self.scores[:, [o == g for o in owners]].sum(1) for g in groups])
        mine = [q for q, s in enumerate(self.sources) if owners[s] in groups]
        return [int(sums[:, q].argmax()) == int(losses[:, q].argmax()) for q in mine]


def estimate(correlations: torch.Tensor) -> tuple[float, float]:
    """(LDS, its standard error) of `_Trial.lds`: between queries, and by the delete-one jackknife over the subsets
    (Efron and Stein, 1981); squares added, which rather overstates it."""
    mean, between_queries = mean_and_error(correlations[:, 0].tolist())
    without = correlations[:, 1:].mean(0)
    count = len(without)
    between_subsets = float(((without - without.mean()).square().sum() * (count - 1) / count).sqrt())
    return mean, (between_queries**2 + between_subsets**2) ** 0.5


def scorecard(scorer: Scorer, sequences: list[Sequence], settings: ScorecardSettings | None = None,
              method: str = "ekfac") -> dict:
    """Integers only: shares and correlations in 2^-20 units, the rest counts and bytes. `sequences` are the rows of
    the store, in its order. confidence = max(0, LDS - standard error), 0 with fewer than 8 rows."""
    settings = settings or ScorecardSettings()
    trial = _Trial(scorer, sequences, settings, method)
    enough = len(trial.rows) >= 8
    lds, error = estimate(trial.lds()) if enough else (0.0, 0.0)
    left_out = trial.leave_one_out() if enough else []
    unit = lambda value: round(value * UNIT)
    share = lambda hits: unit(sum(hits) / len(hits)) if hits else 0
    stored = sum(p.stat().st_size for p in scorer.store.folder.iterdir())
    return {
        "form": "short", "method": method, "confidence": min(UNIT, max(0, unit(lds) - unit(error))),
        "lds": unit(lds), "ldsError": unit(error), "ldsSubsets": settings.subsets if enough else 0,
        "leaveOneContributorOutTop1": share(left_out), "leaveOneContributorOutQueries": len(left_out),
        "nearDuplicateRecall": share(trial.found), "queries": len(trial.queries), "rows": len(trial.rows),
        "bytesPerRow": scorer.store.header["methods"][method]["bytesPerRow"], "storeBytes": stored,
    }


def scorecard_of(base_dir, adapter_dir, store_dir, rows: list[dict], *, settings: ScorecardSettings | None = None,
                 base: Base | None = None) -> dict:
    """The scorecard of a store just fitted from these row records (same list, same order)."""
    scorer = open_scorer(store_dir, base_dir, adapter_dir, base)
    window, tokenizer = scorer.store.header["window"], scorer.base.tokenizer
    sequences = [to_sequence(r, tokenizer, window, scorer.base.vocabulary) for r in rows]
    return scorecard(scorer, sequences, settings)
