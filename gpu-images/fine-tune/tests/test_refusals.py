"""What cannot be trained ends with a typed reason in output/failure and a status above 0."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from conftest import row
from fine_tune.refusal import write_failure


def reason(root: Path) -> str:
    assert not (root / "model/manifest.json").exists()
    return (root / "output/failure").read_text()


@pytest.mark.parametrize(("more", "expected"), [
    ({"method": "qlora"}, "method-needs-gpu: qlora"),
    ({"method": "magic"}, "bad-job: method: 'magic'"),
    ({"hyperparameters": {"rank": 0}}, "bad-job: hyperparameters.rank: 0 must be between 1 and 256"),
    ({"hyperparameters": {"rank": 2.5}}, "bad-job: hyperparameters.rank: 2.5 must be a whole number"),
    ({"hyperparameters": {"learningrate": 1}}, "bad-job: hyperparameters.learningrate is unknown"),
    ({"hyperparameters": {"learningRate": float("nan")}}, "bad-job: hyperparameters.learningRate: nan"),
    ({"hyperparameters": {"targetModules": ["q_proj", "nope"]}}, "bad-job: hyperparameters.targetModules: nope"),
    ({"baseDigest": "0" * 64}, "wrong-base: the base in the channel has digest"),
    ({"rows": []}, "no-rows: the row files are empty"),
    ({"rows": [{"id": "row_1", "text": 5}]}, "bad-rows: dn_1/ctr_1.jsonl, line 1: text must be a string"),
    ({"rows": [row("the same twice", 1), row("the same twice", 2)]}, "bad-rows: dn_1/ctr_1.jsonl, line 2: the id"),
    ({"rows": [row("x", 1, messages=[{"role": "user", "content": "hi"}])]}, "bad-rows: row row_"),
    ({"limits": {"maxSeconds": -1}}, "bad-job: limits.maxSeconds: -1"),
    ({"limits": {"maxSeconds": 10**400}}, "bad-job: limits.maxSeconds: 1000"),
    ({"limits": {"maxSeconds": float("nan")}}, "bad-job: limits.maxSeconds: nan"),
    ({"limits": 5}, "bad-job: limits must be an object"),
    ({"limits": []}, "bad-job: limits must be an object"),
    ({"limits": {"maxseconds": 60}}, "bad-job: limits.maxseconds is unknown; known: maxCost, maxSeconds"),
    ({"influence": 5}, "bad-job: influence must be an object"),
    ({"influence": {"enabled": True, "directions": "many"}}, "bad-job: influence.directions: 'many' is not a number"),
    ({"influence": {"directions": 0}}, "bad-job: influence.directions: 0 must be between 1 and"),
    ({"influence": {"checkpoints": 2.5}}, "bad-job: influence.checkpoints: 2.5 must be a whole number"),
    ({"influence": {"checkpoints": 10**400}}, "bad-job: influence.checkpoints: 1000"),
    ({"influence": {"enabled": True, "checkpoints": 0}}, "bad-job: influence.checkpoints: 0 must be between 1 and 64"),
    ({"influence": {"enabled": "no"}}, "bad-job: influence.enabled: 'no' must be true or false"),
    ({"datanets": [{"id": "dn_1", "version": 1.5}]}, "bad-job: datanets.0.version: 1.5 is not a whole number"),
    ({"datanets": [{"id": "dn_1", "version": 1.0}]}, "bad-job: datanets.0.version: 1.0 is not a whole number"),
    ({"datanets": [{"id": "dn_1", "root": 5}]}, "bad-job: datanets.0.root: 5 must be a string"),
    ({"datanets": "dn_1"}, "bad-job: datanets must be a list"),
    ({"datanets": 0}, "bad-job: datanets must be a list"),
    ({"baseId": 7}, "bad-job: baseId: 7 must be a string"),
    ({"baseId": "half \ud800 of it"}, "bad-job: baseId holds half a surrogate pair"),
    ({"trainingId": ["trn_1"]}, "bad-job: trainingId: ['trn_1'] must be a string"),
    ({"method": ["lora"]}, "bad-job: method: ['lora'] is not one of"),
    ({"hyperparameters": {"learningRate": 10**400}}, "bad-job: hyperparameters.learningRate: 1000"),
    ({"hyperparameters": {"schedule": ["cosine"]}}, "bad-job: hyperparameters.schedule: ['cosine'] is not one of"),
    ({"hyperparameters": {"targetModules": ["half \ud800"]}}, "bad-job: hyperparameters.targetModules.0 holds half a surrogate"),
    ({"rows": [{"id": "r", "text": "half \ud800 of it"}]}, "bad-rows: dn_1/ctr_1.jsonl, line 1: text holds half a surrogate"),
    ({"rows": [{"id": "\udfff", "text": "whole"}]}, "bad-rows: dn_1/ctr_1.jsonl, line 1: id holds half a surrogate"),
    ({"rows": [{"id": "r", "messages": [{"role": "assistant", "content": "\ud800"}]}]},
     "bad-rows: dn_1/ctr_1.jsonl, line 1: messages.0.content holds half a surrogate"),
])
def test_the_reason_names_the_field(make_job, run_job, more, expected):
    root = make_job(**more)
    assert run_job(root) == 1
    assert reason(root).startswith(expected)


@pytest.mark.parametrize(("channel", "expected"), [("rows", "no-rows: no channel with rows"), ("base", "no-base: no base model")])
def test_a_missing_channel_is_named(make_job, run_job, channel, expected):
    root = make_job()
    shutil.rmtree(root / "input/data" / channel)
    assert run_job(root) == 1
    assert reason(root).startswith(expected)


@pytest.mark.parametrize(("file", "content", "expected"), [
    ("input/data/job/job.json", "{", "bad-job: job.json is not JSON"),
    ("input/data/job/job.json", "[]", "bad-job: job.json must be an object"),
    ("input/data/base/config.json", "{", "bad-base: "),
    ("input/data/base/tokenizer.json", "{", "bad-base: the tokenizer cannot be read"),
    ("input/data/base/tokenizer.json", None, "no-base: base/ has no tokenizer.json"),
    ("input/data/base/model.safetensors", "x", "bad-base: the model cannot be read"),
    ("input/data/rows/dn_1/ctr_1.jsonl", "", "no-rows: the row files are empty"),
    ("input/data/job/job.json", '{"a":' * 200_000, "bad-job: job.json is nested too deep"),
    ("input/data/job/job.json", '{"trainingId":' + "1" * 5000 + "}", "bad-job: job.json is not JSON"),
    ("input/data/rows/dn_1/ctr_1.jsonl", '{"text":"x"}\n' + "[" * 200_000, "bad-rows: dn_1/ctr_1.jsonl, line 2: nested too deep"),
    ("input/data/rows/dn_1/ctr_1.jsonl", "[1]", "bad-rows: dn_1/ctr_1.jsonl, line 1: not a JSON object"),
    ("input/data/rows/dn_1/ctr_1.jsonl", '{"text":""}', "bad-rows: dn_1/ctr_1.jsonl, line 1: needs text"),
    ("input/data/rows/dn_1/ctr_1.jsonl", '{"id":7,"text":"x"}', "bad-rows: dn_1/ctr_1.jsonl, line 1: id must be"),
])
def test_a_broken_file_is_named(make_job, run_job, file, content, expected):
    root = make_job()
    (root / file).unlink() if content is None else (root / file).write_text(content)
    assert run_job(root) == 1
    assert reason(root).startswith(expected)


@pytest.mark.parametrize(("flat", "expected"), [
    ({"learning_rate": "0.1"}, "bad-job: hyperparameters.learning_rate is unknown; known: alpha"),
    ({"rank": "many"}, "bad-job: hyperparameters.rank: 'many' is not a number"),
    ('{"rank":' + "[" * 200_000, "bad-config: input/config/hyperparameters.json is not JSON"),
    ("{", "bad-config: input/config/hyperparameters.json is not JSON"),
])
def test_flat_hyperparameters_are_checked_by_name(make_job, run_job, flat, expected):
    root = make_job()
    shutil.rmtree(root / "input/data/job")
    (root / "input/config").mkdir()
    (root / "input/config/hyperparameters.json").write_text(flat if isinstance(flat, str) else json.dumps(flat))
    assert run_job(root) == 1
    assert reason(root).startswith(expected)


def test_a_missing_influence_package_is_told_before_the_training(make_job, run_job, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.split(".")[0] == "influence"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "influence", None)
    root = make_job(influence={"enabled": True})
    assert run_job(root) == 1
    assert reason(root).startswith("no-influence: ") and "METRIC" not in capsys.readouterr().out


def test_pickled_base_weights_are_not_loaded(make_job, run_job):
    root = make_job()
    (root / "input/data/base/model.safetensors").rename(root / "input/data/base/pytorch_model.bin")
    assert run_job(root) == 1
    assert "pickled weights are not loaded" in reason(root)


def test_the_time_limit_stops_with_a_checkpoint_and_a_longer_limit_goes_on(make_job, run_job):
    root = make_job(hyperparameters={"epochs": 20}, limits={"maxSeconds": 0.01})
    assert run_job(root) == 1
    assert reason(root).startswith("time-limit: 0.01 seconds were over after step 1 of 45")
    job = root / "input/data/job/job.json"
    job.write_text(json.dumps({**json.loads(job.read_text()), "limits": {"maxSeconds": 300}}))
    assert run_job(root) == 0
    assert not (root / "output/failure").exists()


def test_a_loss_that_is_no_number_ends_the_job(make_job, run_job, monkeypatch):
    from fine_tune import watch

    told = watch.TellMetrics.on_log
    monkeypatch.setattr(watch.TellMetrics, "on_log",
                        lambda self, args, state, control, logs=None, **more: told(
                            self, args, state, control, {**logs, **({"loss": float("nan")} if "loss" in logs else {})}, **more))
    root = make_job()
    assert run_job(root) == 1
    assert reason(root).startswith("diverged: the loss is not a number after step 1")


def test_the_reason_is_cut_at_what_sagemaker_shows(tmp_path):
    write_failure(tmp_path, "é" * 2000)
    assert len((tmp_path / "output/failure").read_text()) == 1024
