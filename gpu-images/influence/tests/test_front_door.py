"""`influence fit` and `influence score` as outsiders call them: answers, refusals, exit codes."""

import hashlib
import io
import json
import signal
import sys

import pytest
import torch
from influence import fit, score
from influence.commands import run_command
from influence.fit import fit_store
from influence.score import open_scorer

from conftest import write_adapter
from test_architectures import make


def run(capsys, monkeypatch, main, argv, stdin=b""):
    """(exit code, lines of stdout as JSON, stderr)."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # pytest's own stay
    code = 0
    try:
        run_command(main, [str(a) for a in argv])
    except SystemExit as left:
        code = left.code
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


@pytest.fixture
def rows_file(rows, tmp_path):
    pairs = [{"id": r["id"], "prompt": r["text"][:8], "completion": r["text"][8:]} if n % 2 else
             {"id": r["id"], "text": r["text"]} for n, r in enumerate(rows)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(r) + "\n" for r in pairs))
    return tmp_path / "rows.jsonl"


def test_fit_then_score_ranks_the_planted_row_first_by_every_method(base_dir, adapter_dir, rows, rows_file, tmp_path,
                                                                    capsys, monkeypatch):
    given = ["--base", base_dir, "--adapter", adapter_dir]
    code, (summary,), _ = run(capsys, monkeypatch, fit.main, [*given, "--rows", rows_file, "--out", tmp_path / "s"])
    assert code == 0 and summary["rows"] == summary["scored"] == 12 and summary["bytesPerRow"] <= 514
    for method in ("ekfac", "datainf", "dot"):
        asked = b"".join(json.dumps({"id": f"q{n}", "prompt": rows[n]["text"][:8], "completion": rows[n]["text"][8:]})
                         .encode() + b"\n" for n in (1, 7))
        code, lines, _ = run(capsys, monkeypatch, score.main, [*given, "--store", tmp_path / "s", "--method", method], asked)
        assert code == 0 and [line["id"] for line in lines] == ["q1", "q7"]
        for line, n in zip(lines, (1, 7)):
            assert max(line["scores"], key=line["scores"].get) == rows[n]["id"] and line["scores"][rows[n]["id"]] > 0


def test_a_refused_output_is_named_the_others_are_answered_and_the_exit_code_says_so(
        base_dir, adapter_dir, rows_file, tmp_path, capsys, monkeypatch):
    given = ["--base", base_dir, "--adapter", adapter_dir]
    run(capsys, monkeypatch, fit.main, [*given, "--rows", rows_file, "--out", tmp_path / "s", "--methods", "ekfac"])
    asked = (b'{"id":"a","prompt":"alpha ","completion":""}\nnot json\n{"id":"b","completion":7}\n'
             b'{"id":"c","prompt":"","completion":"' + b"vault bond " * 40 + b'"}\n')
    code, lines, err = run(capsys, monkeypatch, score.main, [*given, "--store", tmp_path / "s"], asked)
    assert code == 1 and "3 outputs were refused" in err
    assert [line["id"] for line in lines] == ["a", None, "b", "c"]
    assert {line["error"]["code"] for line in lines[:3]} == {"influence.output_invalid"}
    assert "completion" in lines[0]["error"]["message"] and len(lines[3]["scores"]) == 12  # longer than the context
    code, lines, _ = run(capsys, monkeypatch, score.main, [*given, "--store", tmp_path / "s", "--method", "dot"], asked)
    assert code == 1 and lines[0]["error"]["code"] == "influence.store_mismatch"
    code, _, _ = run(capsys, monkeypatch, score.main, [*given, "--store", tmp_path / "s", "--method", "magic"])
    assert code == 2


@pytest.mark.parametrize("lines, says", [
    ("", "there are no rows"),
    ('{"id":"a","text":"x y"}\n{"id":"a","text":"z"}\n', "line 2: id 'a' occurs twice"),
    ('{"id":"a","prompt":"x","completion":""}\n', "line 1: the completion is empty"),
    ('{"id":"a"}\n', "line 1: neither text nor prompt and completion"),
    ('{"id":3,"text":"x"}\n', "line 1: not an object with a string id"),
    ('{"id":"a","text":"x"}\n[\n', "line 2: not a JSON object"),
])
def test_bad_rows_are_refused_by_line_and_nothing_is_left(base_dir, adapter_dir, tmp_path, capsys, monkeypatch, lines, says):
    (tmp_path / "rows.jsonl").write_text(lines)
    code, (answer,), err = run(capsys, monkeypatch, fit.main, [
        "--base", base_dir, "--adapter", adapter_dir, "--rows", tmp_path / "rows.jsonl", "--out", tmp_path / "s"])
    assert code == 1 and answer["error"]["code"] == "influence.rows_invalid" and says in answer["error"]["message"]
    assert says in err and [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("lora, says", [
    ({"use_dora": True}, "use_dora"), ({"bias": "all"}, "bias"), ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ({"lora_bias": True}, "lora_bias"),
])
def test_what_the_method_does_not_cover_is_refused_with_the_reason(tmp_path, capsys, monkeypatch, lora, says):
    base, adapter = make("Mistral", tmp_path, **lora)
    (tmp_path / "rows.jsonl").write_text('{"id":"a","text":"x y"}\n')
    code, (answer,), _ = run(capsys, monkeypatch, fit.main, [
        "--base", base, "--adapter", adapter, "--rows", tmp_path / "rows.jsonl", "--out", tmp_path / "s"])
    assert code == 1 and answer["error"]["code"] == "influence.adapter_unsupported" and says in answer["error"]["message"]
    assert not (tmp_path / "s").exists()


def test_a_rank_16_rslora_adapter_scores_and_a_foreign_one_is_told_what_to_do(base_dir, rows, rows_file, tmp_path, capsys,
                                                                              monkeypatch):
    adapter = write_adapter(base_dir, tmp_path / "a", rank=16, targets=("o_proj", "down_proj"), use_rslora=True)
    foreign = write_adapter(base_dir, tmp_path / "b", rank=8, targets=("k_proj",))
    given = ["--base", base_dir, "--store", tmp_path / "s"]
    run(capsys, monkeypatch, fit.main, ["--base", base_dir, "--adapter", adapter, "--rows", rows_file, "--out", tmp_path / "s"])
    asked = json.dumps({"id": "q", "prompt": rows[3]["text"][:8], "completion": rows[3]["text"][8:]}).encode()
    code, (line,), _ = run(capsys, monkeypatch, score.main, [*given, "--adapter", adapter], asked)
    assert code == 0 and max(line["scores"], key=line["scores"].get) == rows[3]["id"]
    code, (line,), _ = run(capsys, monkeypatch, score.main, [*given, "--adapter", foreign], asked)
    assert code == 1 and line["error"]["code"] == "influence.store_mismatch" and "fit one" in line["error"]["message"]


def test_rows_outside_the_manifest_score_zero(base_dir, rows, tmp_path):
    adapter = write_adapter(base_dir, tmp_path / "adapter")
    fit_store(base_dir, [adapter], rows, tmp_path / "s")
    asked = {"id": "q", "text": rows[5]["text"]}
    score_of = lambda of=asked: (lambda s: s.score(s.sequence(of)).scores)(open_scorer(tmp_path / "s", base_dir, adapter))
    free = score_of()
    ids = [r["id"] for r in rows if r["id"] != rows[5]["id"]]
    digest = hashlib.sha256("".join(f"{i}\n" for i in sorted(ids)).encode()).hexdigest()
    (adapter / "row-ids.txt").write_text("".join(f"{i}\n" for i in ids))
    (adapter / "manifest.json").write_text(json.dumps({"rows": {"idsDigest": digest}}))
    signed = score_of()
    assert free[5] > 0 and signed[5] == 0
    assert torch.equal(torch.cat([free[:5], free[6:]]), torch.cat([signed[:5], signed[6:]]))
    other = {"id": "q", "text": "zq xv 91 !!"}
    assert bool((score_of(other) < 0).any())
    (adapter / "row-ids.txt").write_text("\n")
    (adapter / "manifest.json").write_text(json.dumps({"rows": {"idsDigest": hashlib.sha256(b"").hexdigest()}}))
    assert not torch.signbit(score_of(other)).any()  # 0, not -0
    (adapter / "row-ids.txt").write_text("".join(f"{r['id']}\n" for r in rows))  # adds the row without the signature
    with pytest.raises(Exception, match="signed"):
        score_of()
