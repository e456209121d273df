"""Own part of rows against the golden vectors (a third implementation), and the fence of the quarantine."""

import json
import random
from pathlib import Path

import pytest
from influence import own_part
from influence.own_part import UNIT, own_parts, own_parts_of
from influence.quarantine import LEAST_ROWS, quarantined

VECTORS = json.loads((Path(__file__).parents[3] / "test/vectors/payout.json").read_text())["own"]


@pytest.mark.parametrize(("pass_bytes", "block"), [(1 << 24, 1 << 22), (32, 7)])
def test_own_parts_are_those_of_the_golden_vectors_in_any_number_of_passes(monkeypatch, pass_bytes, block):
    monkeypatch.setattr(own_part, "_PASS_BYTES", pass_bytes)
    monkeypatch.setattr(own_part, "_BLOCK", block)
    for case in VECTORS:
        assert [str(p) for p in own_parts([t.encode() for t in case["texts"]])] == case["own"]


def test_the_registry_decides_who_was_first_not_the_order_of_the_file():
    text = "a sentence that stands in two of the rows"
    rows = [{"id": "late", "text": text, "sequence": 9}, {"id": "early", "text": text, "sequence": 2}]
    assert own_parts_of(rows) == [0, UNIT]
    assert own_parts_of([{k: v for k, v in row.items() if k != "sequence"} for row in rows]) == [UNIT, 0]
    assert own_parts_of([{"input_ids": [1, 2]}, {"prompt": "x", "completion": text}]) == [UNIT, UNIT]


def test_a_far_outlier_is_put_away_and_later_rows_cannot_put_an_earlier_one_away():
    chance = random.Random(5)
    usual = [chance.lognormvariate(0, 1) for _ in range(200)]
    assert quarantined(usual) == []
    assert quarantined([*usual, 1e6]) == [200]
    assert quarantined([*usual, float("nan"), 0.0]) == []
    wide = [chance.lognormvariate(0, 2) for _ in range(LEAST_ROWS)]
    narrow = [chance.lognormvariate(-3, 0.01) for _ in range(5000)]
    assert [i for i in quarantined([*wide, *narrow]) if i < LEAST_ROWS] == quarantined(wide)
