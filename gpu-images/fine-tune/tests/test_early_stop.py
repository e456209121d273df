"""Early stop: the run ends, the best adapter is what is published, an interruption changes nothing."""

import json
import signal

from test_whole_job import adapter_id, start

# A rate that learns by heart fast and makes what was held out worse.
OVERFITTING = {"epochs": 60, "learningRate": 0.05, "rank": 8, "alpha": 64, "evalFraction": 0.3, "earlyStopPatience": 2}


def numbers(out: str, name: str) -> list[float]:
    return [float(line.split(f" {name}=")[1].split()[0]) for line in out.split("\n") if f" {name}=" in line]


def test_it_ends_early_with_the_best_adapter_and_an_interrupted_run_ends_at_the_same(make_job, run_job, capsys):
    whole, broken = make_job("whole", hyperparameters=OVERFITTING), make_job("broken", hyperparameters=OVERFITTING)
    assert run_job(whole) == 0
    out = capsys.readouterr().out
    *measured, final = numbers(out, "eval_loss")
    assert final == min(measured) and len(measured) - 1 - measured.index(final) == 2
    manifest = json.loads((whole / "model/manifest.json").read_text())
    planned = numbers(out, "steps")[0]
    assert manifest["metrics"]["steps"] < planned
    assert manifest["hyperparameters"]["earlyStopPatience"] == 2

    process = start(broken)
    halfway = manifest["metrics"]["steps"] // 2
    for line in process.stdout:
        if line.startswith(f"METRIC step={halfway} "):
            process.send_signal(signal.SIGTERM)
            break
    process.communicate(timeout=180)
    assert process.returncode == 143
    assert run_job(broken) == 0
    assert adapter_id(broken) == adapter_id(whole)


def test_it_needs_rows_that_are_held_out(make_job, run_job):
    root = make_job(hyperparameters={"earlyStopPatience": 1, "evalFraction": 0})
    assert run_job(root) == 1
    assert (root / "output/failure").read_text().startswith("bad-job: hyperparameters.earlyStopPatience needs held-out rows")
