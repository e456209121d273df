"""What a matrix of scores (queries, rows) is worth against the retrainings."""

import torch
from influence.statistics import mean_and_error, spearman


def lds_per_query(scores: torch.Tensor, subsets: list[tuple[int, ...]], losses: torch.Tensor) -> list[float]:
    """Spearman, per query, between the sum of the scores of a subset and minus the measured loss."""
    predicted = torch.stack([scores[:, list(s)].double().sum(1) for s in subsets])
    return [spearman(predicted[:, q], -losses[:, q]) for q in range(scores.shape[0])]


def ceiling_per_query(first: torch.Tensor, second: torch.Tensor) -> list[float]:
    """How well the same subsets' losses under other seeds predict these."""
    return [spearman(first[:, q], second[:, q]) for q in range(first.shape[1])]


def leave_out_hits(scores: torch.Tensor, owners: list[str], names: list[str], losses: torch.Tensor) -> list[float]:
    """1 for each query whose highest-scored contributor is the one whose absence raises the loss most, else 0.
    losses: (contributors, queries) without each of them."""
    sums = torch.stack([scores[:, [o == n for o in owners]].double().sum(1) for n in names])
    return (sums.argmax(0) == losses.argmax(0)).double().tolist()


def recall_at_1(scores: torch.Tensor, sources: list[int]) -> float:
    """Share of edited copies whose highest-scored row is the one that was copied."""
    return float((scores.argmax(1) == torch.tensor(sources)).double().mean())


def paired(ours: list[float], theirs: list[float]) -> dict:
    mean, error = mean_and_error([a - b for a, b in zip(ours, theirs)])
    return {"difference": round(mean, 4), "standardError": round(error, 4)}
