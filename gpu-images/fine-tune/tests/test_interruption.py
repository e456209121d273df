"""A job that is stopped after its last step trains nothing again and ends at the same adapter."""

import json
import os
import signal
import time

import pytest

from test_early_stop import OVERFITTING
from test_whole_job import adapter_id, start

STORE = {"enabled": True, "checkpoints": 4, "directions": 16}


def test_sigterm_while_influence_is_fitted_ends_at_once_and_keeps_the_training(make_job, run_job):
    whole, broken = make_job("whole", influence=STORE), make_job("broken", influence=STORE)
    assert run_job(whole) == 0

    process = start(broken)
    for line in process.stderr:
        if line.startswith("STAGE checked"):
            process.send_signal(signal.SIGTERM)
            break
    sent = time.monotonic()
    process.communicate(timeout=60)
    assert process.returncode == 143 and time.monotonic() - sent < 30
    assert [p.name for p in (broken / "checkpoints").glob("checkpoint-*")] == ["checkpoint-9"]
    assert not (broken / "model/manifest.json").exists() and not (broken / "output/failure").exists()

    out, _ = start(broken).communicate(timeout=180)
    assert "eval_loss=" in out and "train_loss=" not in out
    assert adapter_id(broken) == adapter_id(whole) and not (broken / "checkpoints").exists()


@pytest.mark.parametrize("chosen", [{"epochs": 2}, OVERFITTING])
def test_what_breaks_off_after_the_last_step_is_not_trained_again(make_job, run_job, monkeypatch, capsys, chosen):
    from fine_tune import evaluate

    whole, broken = make_job("whole", hyperparameters=chosen), make_job("broken", hyperparameters=chosen)
    assert run_job(whole) == 0
    with monkeypatch.context() as only_here:
        only_here.setattr(evaluate, "compare", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        assert run_job(broken) == 143
    capsys.readouterr()
    assert run_job(broken) == 0
    assert "train_loss=" not in capsys.readouterr().out
    assert adapter_id(broken) == adapter_id(whole)


def test_sigterm_while_the_manifest_is_written_lets_the_job_finish(make_job, run_job, monkeypatch):
    from fine_tune import manifest

    root, written = make_job(hyperparameters={"epochs": 1}), manifest.write_manifest
    monkeypatch.setattr(manifest, "write_manifest", lambda *given: (os.kill(os.getpid(), signal.SIGTERM), written(*given))[1])
    assert run_job(root) == 0
    assert (root / "model/manifest.json").exists()


def test_a_checkpoint_that_was_not_written_to_its_end_is_passed_over(tmp_path):
    from fine_tune.watch import last_checkpoint

    assert last_checkpoint(tmp_path / "none") is None
    for step, state in ((9, json.dumps({"global_step": 9})), (20, None), (30, '{"global_st')):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state:
            (tmp_path / f"checkpoint-{step}/trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-9"
