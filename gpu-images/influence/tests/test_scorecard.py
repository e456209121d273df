"""The scorecard is repeatable, bounded, and notices scores that say nothing."""

import pytest
import torch
from influence.fit import fit_store
from influence.retraining import Schedule, draws
from influence.rows import to_sequence
from influence.score import open_scorer
from influence.scorecard import UNIT, ScorecardSettings, estimate, scorecard
from influence.statistics import spearman

SMALL = ScorecardSettings(queries=8, subsets=16, contributors=3, batch_rows=2)


@pytest.fixture(scope="module")
def parts(base_dir, adapter_dir, rows, tmp_path_factory):
    out = tmp_path_factory.mktemp("card") / "influence"
    fit_store(base_dir, [adapter_dir], rows, out)
    scorer = open_scorer(out, base_dir, adapter_dir)
    return scorer, [to_sequence(r, scorer.base.tokenizer, 64, 257) for r in rows]


def test_a_real_store_predicts_retraining_and_gets_the_same_card_twice(parts):
    scorer, sequences = parts
    card = scorecard(scorer, sequences, SMALL)
    assert card == scorecard(scorer, sequences, SMALL)
    assert all(isinstance(v, (int, str)) for v in card.values())
    assert card["nearDuplicateRecall"] > 0.8 * UNIT
    assert card["lds"] > 0.3 * UNIT and 0 < card["confidence"] <= UNIT
    assert card["confidence"] == max(0, card["lds"] - card["ldsError"])


def test_scores_of_the_wrong_rows_get_no_confidence(parts):
    """Rolls the stored rows by one: every row now carries its neighbour's score."""
    scorer, sequences = parts
    rolled = sequences[1:] + sequences[:1]
    card = scorecard(scorer, rolled, SMALL)
    assert card["nearDuplicateRecall"] < 0.3 * UNIT
    assert card["lds"] < 0.3 * UNIT


def test_too_few_rows_give_no_confidence(base_dir, adapter_dir, rows, tmp_path):
    fit_store(base_dir, [adapter_dir], rows[:3], tmp_path / "s")
    scorer = open_scorer(tmp_path / "s", base_dir, adapter_dir)
    card = scorecard(scorer, [to_sequence(r, scorer.base.tokenizer, 64, 257) for r in rows[:3]], SMALL)
    assert card["confidence"] == 0 and card["ldsSubsets"] == 0


def test_the_error_grows_with_what_the_subsets_disagree_about():
    """Queries that agree with each other say nothing about how lucky the shared subsets were."""
    steady = torch.full((6, 9), 0.5, dtype=torch.float64)
    assert estimate(steady) == (0.5, 0)
    shaken = steady.clone()
    shaken[:, 1:] += torch.tensor([0.1, -0.1] * 4, dtype=torch.float64)
    assert estimate(shaken) == pytest.approx((0.5, (8 * 0.01 * 7 / 8) ** 0.5))


def test_every_row_is_drawn_equally_often():
    seen = [i for batch in draws(10, Schedule(steps=15, batch_rows=4, learning_rate=1, seed=1)) for i in batch]
    assert all(seen.count(i) == 6 for i in range(10))


def test_spearman_knows_order_and_ties():
    up = torch.tensor([1.0, 2, 3, 4])
    assert spearman(up, up**3) == pytest.approx(1)
    assert spearman(up, -up) == pytest.approx(-1)
    assert spearman(up, torch.ones(4)) == 0
    assert spearman(torch.tensor([1.0, 1, 2]), torch.tensor([1.0, 1, 2])) == pytest.approx(1)
