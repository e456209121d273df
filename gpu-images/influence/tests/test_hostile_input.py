"""Inputs that nobody should send: each gets its reason, nothing dies half-way and nothing of others' is touched."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch
from influence import fit, gradients, score
from influence.base_model import load_base
from influence.errors import InfluenceError
from influence.fit import fit_store
from influence.score import open_scorer
from safetensors.torch import load_file, save_file

from conftest import write_adapter
from test_front_door import run


@pytest.fixture(scope="module")
def store_dir(base_dir, adapter_dir, rows, tmp_path_factory):
    out = tmp_path_factory.mktemp("hostile") / "store"
    fit_store(base_dir, [adapter_dir], rows, out)
    return out


def fitted(capsys, monkeypatch, base, adapter, lines, tmp_path, out="s"):
    """(code, answer) of a fit on these lines."""
    (tmp_path / "rows.jsonl").write_text(lines)
    code, (answer,), _ = run(capsys, monkeypatch, fit.main, [
        "--base", base, "--adapter", adapter, "--rows", tmp_path / "rows.jsonl", "--out", out if out == "." else tmp_path / out,
        "--methods", "ekfac"])
    return code, answer


@pytest.mark.parametrize("line", [
    b'{"id":"bad","completion":"half a pair \\ud800 here"}', b'{"id":"bad","prompt":"\\udc00","completion":"x"}',
    b'{"id":"bad","completion":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    b'{"id":"bad","completion":"\xff"}', b'{"id":"bad","completion":' + b"7" * 6000 + b"}", b"[1]", b"null",
])
def test_a_line_that_is_no_output_is_told_and_the_next_one_scored(store_dir, base_dir, adapter_dir, capsys, monkeypatch, line):
    asked = line + b'\n{"id":"good","completion":"vault bond"}\n'
    code, lines, _ = run(capsys, monkeypatch, score.main, ["--store", store_dir, "--base", base_dir, "--adapter", adapter_dir], asked)
    assert code == 1 and lines[0]["error"]["code"] == "influence.output_invalid"
    assert lines[1]["id"] == "good" and len(lines[1]["scores"]) == 12


@pytest.mark.parametrize("line, says", [
    ('{"id":"a","text":"x \\ud800 y"}', "a:"), ('{"id":"a","input_ids":["x"]}', "a:"), ('{"id":"a","input_ids":7}', "a:"),
    ('{"id":"a","input_ids":[1,2],"labels":3}', "a:"), ('{"id":"a","messages":"hello"}', "a:"),
    ('{"id":"a","messages":[{"role":"user","content":"x"}]}', "a:"),  # the base has no chat template
    ('{"id":"a","text":"x y","contributor":5}', "line 1: contributor"), ('{"id":"a","text":"x y","cluster":[]}', "line 1: cluster"),
    ('{"id":"a","text":' + "[" * 200_000 + "]" * 200_000 + "}", "line 1"),
])
def test_a_row_that_is_no_text_is_named(base_dir, adapter_dir, tmp_path, capsys, monkeypatch, line, says):
    code, answer = fitted(capsys, monkeypatch, base_dir, adapter_dir, line + "\n", tmp_path)
    assert code == 1 and answer["error"]["code"] in ("influence.rows_invalid", "influence.output_invalid")
    assert says in answer["error"]["message"] and [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_ids_that_differ_only_in_case_or_unicode_form_are_rows_of_their_own(base_dir, adapter_dir, tmp_path, capsys, monkeypatch):
    ids = ["é", "e\u0301", "A", "a", "a ", "a\r", "\u2028", "\ud800"]
    lines = "".join(json.dumps({"id": i, "text": f"vault {n} bond"}) + "\n" for n, i in enumerate(ids))
    assert fitted(capsys, monkeypatch, base_dir, adapter_dir, lines, tmp_path)[0] == 0
    _, (line,), _ = run(capsys, monkeypatch, score.main, [
        "--store", tmp_path / "s", "--base", base_dir, "--adapter", adapter_dir], b'{"id":"q","completion":"vault"}\n')
    assert list(line["scores"]) == ids


@pytest.mark.parametrize("what", ["a file", "a folder"])
def test_a_fit_replaces_a_store_or_an_empty_folder_and_nothing_else(base_dir, adapter_dir, tmp_path, capsys, monkeypatch, what):
    out = tmp_path / "mine"
    if what == "a file":
        out.write_text("precious")
    else:
        out.mkdir()
        (out / "thesis.txt").write_text("precious")
    code, answer = fitted(capsys, monkeypatch, base_dir, adapter_dir, '{"id":"a","text":"vault bond"}\n', tmp_path, "mine")
    assert code == 1 and answer["error"]["code"] == "influence.out_occupied" and "mine" in answer["error"]["message"]
    assert (out if what == "a file" else out / "thesis.txt").read_text() == "precious"
    (tmp_path / "empty").mkdir()
    for _ in range(2):  # the second time it replaces its own store
        assert fitted(capsys, monkeypatch, base_dir, adapter_dir, '{"id":"a","text":"vault bond"}\n', tmp_path, "empty")[0] == 0
    monkeypatch.chdir(tmp_path / "empty")
    assert fitted(capsys, monkeypatch, base_dir, adapter_dir, '{"id":"b","text":"vault bond"}\n', tmp_path, ".")[0] == 0


@pytest.mark.parametrize("change, says", [
    ({"init_lora_weights": "lora_ga"}, "lora_ga"), ({"init_lora_weights": "mica"}, "mica"),
    ({"kasa_config": {"beta": 1}}, "kasa_config"), ({"monteclora_config": {"x": 1}}, "monteclora_config"),
    ({"lora_alpha": "16"}, "lora_alpha"), ({"alpha_pattern": ["k_proj"]}, "alpha_pattern"),
    ({"alpha_pattern": {"k_proj(": 3}}, "alpha_pattern"),
])
def test_an_adapter_that_is_not_stock_lora_is_told_why(base_dir, tmp_path, capsys, monkeypatch, change, says):
    adapter = write_adapter(base_dir, tmp_path / "adapter", targets=("k_proj",))
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | change))
    code, answer = fitted(capsys, monkeypatch, base_dir, adapter, '{"id":"a","text":"vault bond"}\n', tmp_path)
    assert code == 1 and answer["error"]["code"].startswith("influence.adapter_") and says in answer["error"]["message"]


def test_an_adapter_without_lora_alpha_has_pefts_default(base_dir, tmp_path):
    from influence.adapter import read_adapter
    from peft import LoraConfig

    adapter = write_adapter(base_dir, tmp_path, targets=("k_proj",))
    config = json.loads((adapter / "adapter_config.json").read_text())
    del config["lora_alpha"]
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    assert read_adapter(adapter).modules[0].scale == LoraConfig().lora_alpha / 4


@pytest.mark.parametrize("damage", ["config is a list", "config is cut", "no folder", "a file", "weights cut"])
def test_a_damaged_adapter_is_told(base_dir, tmp_path, capsys, monkeypatch, damage):
    adapter = write_adapter(base_dir, tmp_path / "adapter", targets=("k_proj",))
    if damage == "config is a list":
        (adapter / "adapter_config.json").write_text("[]")
    elif damage == "config is cut":
        (adapter / "adapter_config.json").write_text('{"peft_type": "LO')
    elif damage == "weights cut":
        whole = (adapter / "adapter_model.safetensors").read_bytes()
        (adapter / "adapter_model.safetensors").write_bytes(whole[: len(whole) // 2])
    else:
        shutil.rmtree(adapter)
        if damage == "a file":
            adapter.write_text("x")
    code, answer = fitted(capsys, monkeypatch, base_dir, adapter, '{"id":"a","text":"vault bond"}\n', tmp_path)
    assert code == 1 and answer["error"]["code"] == "influence.adapter_invalid"


@pytest.mark.parametrize("damage", ["weights cut", "a weight is missing", "no tokenizer", "config is cut", "another kind"])
def test_a_damaged_base_is_told(base_dir, adapter_dir, tmp_path, capsys, monkeypatch, damage):
    base = tmp_path / "base"
    shutil.copytree(base_dir, base)
    if damage == "weights cut":
        whole = (base / "model.safetensors").read_bytes()
        (base / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    elif damage == "a weight is missing":  # transformers would draw it at random, another one at each start
        held = load_file(base / "model.safetensors")
        del held["model.layers.0.mlp.up_proj.weight"]
        save_file(held, base / "model.safetensors", {"format": "pt"})
    elif damage == "no tokenizer":
        for path in base.glob("*token*"):
            path.unlink()
    elif damage == "config is cut":
        (base / "config.json").write_text('{"architectures": ["Ll')
    else:
        (base / "config.json").write_text(json.dumps({"model_type": "t5"}))
    code, answer = fitted(capsys, monkeypatch, base, adapter_dir, '{"id":"a","text":"vault bond"}\n', tmp_path)
    assert code == 1 and answer["error"]["code"] == "influence.base_invalid", answer


def test_gradients_that_cannot_be_squared_are_told_like_infinite_ones(base_dir, rows, tmp_path):
    """B = 0 and a huge A: the loss is finite and so is every gradient, but not their curvature."""
    adapter = write_adapter(base_dir, tmp_path / "a")
    held = load_file(adapter / "adapter_model.safetensors")
    save_file({k: v * (1e20 if "lora_A" in k else 0) for k, v in held.items()}, adapter / "adapter_model.safetensors")
    with pytest.raises(InfluenceError) as refused:
        fit_store(base_dir, [adapter], rows, tmp_path / "s")
    assert refused.value.code == "influence.gradient_not_finite" and "row_" in refused.value.message


def test_checkpoints_of_other_modules_are_refused(base_dir, rows, tmp_path):
    first = write_adapter(base_dir, tmp_path / "1", targets=("k_proj",))
    last = write_adapter(base_dir, tmp_path / "2", targets=("v_proj",))  # of the same shape
    with pytest.raises(InfluenceError) as refused:
        fit_store(base_dir, [first, last], rows, tmp_path / "s")
    assert refused.value.code == "influence.store_mismatch" and "modules" in refused.value.message


def test_small_scores_keep_their_digits(base_dir, rows, tmp_path, capsys, monkeypatch):
    adapter = write_adapter(base_dir, tmp_path / "a", alpha=4e-5)
    fit_store(base_dir, [adapter], rows, tmp_path / "s", methods=("dot",))
    scorer = open_scorer(tmp_path / "s", base_dir, adapter)
    exact = scorer.score(scorer.sequence({"id": "q", "completion": "vault bond"}), "dot", normalise=False).scores
    _, (line,), _ = run(capsys, monkeypatch, score.main, [
        "--store", tmp_path / "s", "--base", base_dir, "--adapter", adapter, "--method", "dot", "--absolute"],
        b'{"id":"q","completion":"vault bond"}\n')
    assert 0 < float(exact.abs().max()) < 1e-7
    torch.testing.assert_close(torch.tensor(list(line["scores"].values())), exact, rtol=1e-5, atol=0)


def test_a_text_of_many_windows_takes_no_more_memory_than_one_batch(store_dir, base_dir, adapter_dir, rows, tmp_path, monkeypatch):
    passes, logits = [], gradients._logits

    def counted(model, tokens, mask):
        passes.append(tokens.numel())
        return logits(model, tokens, mask)

    monkeypatch.setattr(gradients, "_logits", counted)
    long = {"id": "long", "text": "vault bond coupon " * 1000}  # 18,000 tokens, context 64
    scorer = open_scorer(store_dir, base_dir, adapter_dir)
    scored = scorer.score(scorer.sequence(long))
    assert len(passes) > 1 and max(passes) <= 2048 and torch.isfinite(scored.scores).all()
    passes.clear()
    fit_store(base_dir, [adapter_dir], [*rows, long], tmp_path / "s")
    assert max(passes) <= 2048
    again = open_scorer(tmp_path / "s", base_dir, adapter_dir)
    assert int(again.score(again.sequence(long)).scores.argmax()) == len(rows)


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM])
def test_a_fit_that_is_stopped_leaves_nothing_and_no_traceback(base_dir, adapter_dir, tmp_path, word):
    text = "".join(json.dumps({"id": str(n), "text": f"vault {n} bond coupon"}) + "\n" for n in range(50_000))
    (tmp_path / "rows.jsonl").write_text(text)
    child = subprocess.Popen(
        [sys.executable, "-m", "influence.fit", "--base", base_dir, "--adapter", adapter_dir, "--rows", tmp_path / "rows.jsonl",
         "--out", tmp_path / "out" / "s"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    begun = time.monotonic()
    while not list((tmp_path / "out").glob(".influence-*")) and child.poll() is None and time.monotonic() - begun < 60:
        time.sleep(0.05)
    for _ in range(2):  # impatient people press twice
        child.send_signal(word)
        time.sleep(0.01)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 128 + word and "Traceback" not in said
    assert list((tmp_path / "out").iterdir()) == []
