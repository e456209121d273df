"""What ingestion accepts, the image trains on: the rows of test/unit/datanets/ingested-shapes.test.ts."""

import json
from pathlib import Path

from jinja2 import TemplateError
from transformers import AutoTokenizer

import pytest

from fine_tune.examples import IGNORED, as_example, rendered
from fine_tune.refusal import Refusal
from fine_tune.rows import parse_row

VECTORS = Path(__file__).parents[3] / "test/vectors/ingested-rows.jsonl"


def records() -> list[dict]:
    return [json.loads(line) for line in VECTORS.read_text(encoding="utf-8").split("\n") if line]


def example_of(tokenizer, record: dict):
    return as_example(tokenizer, parse_row(json.dumps(record).encode(), "line 1", "dn_1/x.jsonl", ["dn_1"]))


def test_a_job_trains_on_every_shape_that_ingestion_accepts(make_job, run_job):
    root = make_job(rows=records(), hyperparameters={"epochs": 1, "evalFraction": 0})
    assert run_job(root) == 0
    manifest = json.loads((root / "model/manifest.json").read_text())
    assert manifest["rows"]["count"] == len(records()) == 14


def test_the_loss_is_on_what_the_assistant_says_and_a_tool_speaks_as_the_user(base):
    tokenizer = AutoTokenizer.from_pretrained(base)
    tool = next(r for r in records() if any(m["role"] == "tool" for m in r.get("messages", [])))
    made = example_of(tokenizer, tool)
    said = tokenizer.decode([i for i, label in zip(made.input_ids, made.labels, strict=True) if label != IGNORED])
    assert "I ask the register." in said and "There are three rows." in said and "register: 3 rows" not in said
    whole = tokenizer.decode(made.input_ids)
    assert "register: 3 rows" in whole and "Thank you." not in whole  # nothing follows the last answer


def test_a_template_that_knows_fewer_roles_gets_them_folded_and_one_that_refuses_all_is_named(base):
    tokenizer = AutoTokenizer.from_pretrained(base)
    strict = ("{% for m in messages %}{% if m['role'] == 'system' or (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
              "{{ raise_exception('no') }}{% endif %}{{ m['role'] + ':' + m['content'] + ';' }}{% endfor %}")
    tokenizer.chat_template = strict
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "U"}, {"role": "assistant", "content": "A"}]
    shown, tokens = rendered(tokenizer, messages, "row 1")
    assert shown[0] == {"role": "user", "content": "S\n\nU"}
    assert tokenizer.decode(tokens["input_ids"]) == "user:S\n\nU;assistant:A;"
    tokenizer.chat_template = "{{ raise_exception('never') }}"
    with pytest.raises(TemplateError):
        tokenizer.apply_chat_template(messages)
    with pytest.raises(Refusal, match="bad-rows: row 1: the base's chat template refuses it: never"):
        rendered(tokenizer, messages, "row 1")


@pytest.mark.parametrize(("raw", "as_ingested"), [
    ({"instruction": "Shorten.", "input": "A long sentence.", "output": "Short."}, {"completion": "Short."}),
    ({"instruction": "Say yes.", "output": "Yes."}, {"completion": "Yes."}),
    ({"instruction": "Say yes.", "input": None, "output": "Yes."}, {"completion": "Yes."}),
    ({"conversations": [{"from": "human", "value": "Hi"}, {"from": "GPT", "value": "Hello."}, {"from": "human", "value": "Bye"}]},
     {"text": "Hi\n\nHello.\n\nBye"}),
])
def test_a_file_made_by_hand_is_trained_on_as_ingestion_would_have_it(base, raw, as_ingested):
    tokenizer = AutoTokenizer.from_pretrained(base)
    ingested = next(r for r in records() if as_ingested.items() <= r.items())
    ours, theirs = example_of(tokenizer, raw), example_of(tokenizer, ingested)
    assert (ours.input_ids, ours.labels) == (theirs.input_ids, theirs.labels)


@pytest.mark.parametrize(("raw", "reason"), [
    ({"conversations": [{"from": "narrator", "value": "x"}]}, "messages must be a list"),
    ({"conversations": [{"from": "gpt"}]}, "messages must be a list"),
    ({"conversations": "x"}, "needs text"),
    ({"instruction": "x", "output": 5}, "completion must be a string"),
    ({"instruction": "x", "output": ""}, "needs text"),
])
def test_a_shape_that_is_broken_is_refused_by_line(raw, reason):
    with pytest.raises(Refusal, match=f"line 1: {reason}"):
        parse_row(json.dumps(raw).encode(), "line 1", "x", [])


def test_a_row_without_an_id_gets_one_of_its_own():
    lines = [b'{"text":"twice the same"}', b'{"text":"twice the same"}']
    ids = [parse_row(line, f"a, line {n}", "a", []).id for n, line in enumerate(lines)]
    assert len(set(ids)) == 2 and all(one.startswith("row_") and len(one) == 28 for one in ids)
