"""Rows with their ids, what is held out, tokens and labels, and the order in which they are shown."""

import json
from collections import Counter

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from conftest import SENTENCES, row
from fine_tune.base_folder import load_tokenizer
from fine_tune.container import Container
from fine_tune.examples import IGNORED, as_example
from fine_tune.job import from_flat, from_json, read_job
from fine_tune.order import batches, total_steps
from fine_tune.refusal import Refusal
from fine_tune.rows import hold_out, parse_row, read_rows


def parsed(**record: object):
    return parse_row(json.dumps(record).encode(), "line 1", "dn_1/x.jsonl", ["dn_1"])


@pytest.fixture(scope="module")
def tokenizer(base):
    return load_tokenizer(base)


def test_lines_end_in_line_feeds_only_and_the_order_is_the_registry_s(tmp_path):
    first, second = row("b\u2028c has a raw separator in it", 9), row("earlier in the registry", 2)
    (tmp_path / "z.jsonl").write_text(json.dumps(first, ensure_ascii=False) + "\n")
    (tmp_path / "a.jsonl").write_text("\n" + json.dumps(second) + "\n")
    rows = read_rows(tmp_path, [tmp_path / "z.jsonl", tmp_path / "a.jsonl"], [])
    assert [r.id for r in rows] == [second["id"], first["id"]]
    assert "\u2028" in rows[1].text


def test_a_row_belongs_to_the_datanet_whose_folder_or_name_it_lies_in():
    line = json.dumps(row("text", 1)).encode()
    assert parse_row(line, "l", "dn_2/ctr.jsonl", ["dn_1", "dn_2"]).datanet == "dn_2"
    assert parse_row(line, "l", "dn_1-ctr.jsonl", ["dn_1", "dn_2"]).datanet == "dn_1"
    with pytest.raises(Refusal, match="which Datanet"):
        parse_row(line, "l", "ctr.jsonl", ["dn_1", "dn_2"])


def test_bad_utf8_is_refused():
    with pytest.raises(Refusal, match="line 1: not a JSON object in UTF-8"):
        parse_row(b'{"id":"r","text":"\xff"}', "line 1", "x", [])


def test_holding_out_depends_on_ids_not_on_order():
    rows = [parsed(**row(f"text number {n}", n)) for n in range(40)]
    kept, held = hold_out(rows, 0.1, 1)
    again, held_again = hold_out(rows[::-1], 0.1, 1)
    assert len(held) == 4 and {r.id for r in held} == {r.id for r in held_again} and len(kept) == 36
    assert {r.id for r in hold_out(rows, 0.1, 2)[1]} != {r.id for r in held}
    assert hold_out(rows, 0, 1)[1] == [] and hold_out(rows[:1], 0.5, 1)[1] == []


def test_plain_text_is_trained_as_it_stands_and_closed(tokenizer):
    example = as_example(tokenizer, parsed(**row(SENTENCES[0], 1)))
    assert tokenizer.decode(example.input_ids[:-1]) == SENTENCES[0]
    assert example.input_ids[-1] == tokenizer.eos_token_id and example.labels == example.input_ids
    assert example.trained_tokens == len(example.input_ids) - 1


def test_prompt_and_completion_go_through_the_template_and_only_the_answer_is_corrected(tokenizer):
    example = as_example(tokenizer, parsed(id="r", prompt="Who keeps it?", completion="The curator."))
    answer = [t for t in example.labels if t != IGNORED]
    assert tokenizer.decode(answer) == "The curator.<|endoftext|>"
    assert tokenizer.decode(example.input_ids).startswith("<|user|>\nWho keeps it?<|endoftext|>\n<|assistant|>\n")


def test_every_answer_of_a_conversation_is_corrected(tokenizer):
    turns = [("system", "s"), ("user", "one?"), ("assistant", "First."), ("user", "two?"), ("assistant", "Second.")]
    example = as_example(tokenizer, parsed(id="r", messages=[{"role": a, "content": b} for a, b in turns]))
    assert tokenizer.decode([t for t in example.labels if t != IGNORED]) == "First.<|endoftext|>Second.<|endoftext|>"


def test_a_template_without_generation_marks_corrects_the_last_answer(base):
    other = load_tokenizer(base)
    other.chat_template = other.chat_template.replace("{% generation %}", "").replace("{% endgeneration %}", "")
    example = as_example(other, parsed(id="r", prompt="Who?", completion="The curator."))
    assert other.decode([t for t in example.labels if t != IGNORED]) == "The curator.<|endoftext|>\n"


def gpt2_like(template: str):
    """Stock GPT-2 splitting, where a space belongs to the word behind it."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer, raw.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    raw.train_from_iterator(["USER: hi there\nASSISTANT: yes it is\n"] * 50, trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<s>", "</s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    made = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    made.chat_template = template
    return made


TURNS = "{% for m in messages %}{{ 'USER' if m.role == 'user' else 'ASSISTANT' }}: {{ m.content }}\n{% endfor %}"


@pytest.mark.parametrize(("template", "trained"), [
    (TURNS + "{% if add_generation_prompt %}ASSISTANT:{% endif %}", " yes it is\n"),
    (TURNS + "{% if add_generation_prompt %}ASSISTANT: {% endif %}", " yes it is\n"),  # the space melts into ` yes`
    (TURNS + "{% if add_generation_prompt %}ASSISTANT: <think>{% endif %}", " yes it is\n"),
    (TURNS, "ASSISTANT: yes it is\n"),  # no generation prompt: the model has to say all of it
    ("{{ messages | length }} turns\n" + TURNS, " yes it is\n"),  # what comes before reads differently without an answer
    ("{% if messages[-1].role == 'user' %}{{ raise_exception('unanswered') }}{% endif %}" + TURNS, " yes it is\n"),
])
def test_the_user_s_words_are_never_trained_on(template, trained):
    made = gpt2_like(template)
    example = as_example(made, parsed(id="r", prompt="hi there", completion="yes it is"))
    assert made.decode([t for t in example.labels if t != IGNORED]) == trained


def test_an_answer_with_nothing_before_it_is_trained_alone():
    made = gpt2_like(TURNS)
    example = as_example(made, parsed(id="r", messages=[{"role": "assistant", "content": "yes it is"}]))
    assert made.decode([t for t in example.labels if t != IGNORED]) == " yes it is\n"


def test_long_rows_are_cut_into_windows_of_their_own(tokenizer):
    example = as_example(tokenizer, parsed(**row(" ".join(SENTENCES), 1)))
    pieces = example.windows(32)
    assert [t for ids, _ in pieces for t in ids] == example.input_ids and max(len(ids) for ids, _ in pieces) == 32


def test_every_window_is_shown_equally_often_in_full_batches():
    lengths = [n % 17 + 2 for n in range(50)]
    plan = batches(lengths, 8, 25, seed=4)
    assert {len(batch) for batch in plan} == {8} and len(plan) == 25
    assert set(Counter(n for batch in plan for n in batch).values()) == {4}
    assert plan == batches(lengths, 8, 25, seed=4) != batches(lengths, 8, 25, seed=5)
    waste = sum(max(lengths[n] for n in batch) * 8 - sum(lengths[n] for n in batch) for batch in plan)
    assert waste < 0.1 * sum(lengths[n] for batch in plan for n in batch)
    assert total_steps(50, 8, 2, None) == 13 and total_steps(50, 8, 2, 5) == 5 and total_steps(3, 8, 0.1, None) == 1


def test_sagemaker_s_flat_strings_are_a_job_too(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAINING_JOB_NAME", "trn_9-1")
    flat = {"rank": "8", "learningRate": "0.01", "method": '"lora"', "targetModules": '["q_proj"]', "schedule": "linear",
            "baseId": "7", "sagemaker_program": "x"}
    (tmp_path / "input/config").mkdir(parents=True)
    (tmp_path / "input/config/hyperparameters.json").write_text(json.dumps(flat))
    job = read_job(Container(tmp_path))
    assert (job.training_id, job.method, job.hyperparameters.rank) == ("trn_9-1", "lora", 8)
    assert job.hyperparameters.targetModules == ("q_proj",) and job.hyperparameters.learningRate == 0.01
    assert job == from_json(from_flat(flat)) and job.base_id == "7"
