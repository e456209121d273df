"""What looks on while the trainer runs: metric lines, adapter checkpoints, SIGTERM and the time limit."""

import json
import math
import os
import shutil
import time
from pathlib import Path

from transformers import TrainerCallback

from fine_tune.interruption import Interruption
from fine_tune.lora import write_adapter

# The parts of the training at which attribution.md B keeps the adapter for the influence fit.
KEPT_AT = (0.15, 0.40, 0.65, 0.90)
SAVE_EVERY_SECONDS = 120.0
HELD_OUT = "held_out_loss"  # entries of the trainer's history by which a run ends early


def metric(**values: float | int | str | None) -> None:
    """One line on stdout; the API reads these from the job's log group. Numbers are plain, never in quotes."""
    def shown(value: float | int | str) -> str:
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    print("METRIC " + " ".join(f"{name}={shown(value)}" for name, value in values.items() if value is not None), flush=True)


class TellMetrics(TrainerCallback):
    """A metric line a step, at most about 500 in a run. `bad` turns true when a loss is not finite; then training stops.

    Losses are taken from the trainer's own history, which is part of a checkpoint: a resumed run has the same ones.
    """

    LINES, REMEMBERED = 500, 1000

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.bad = False
        self.losses: list[float] = []

    def on_log(self, args, state, control, logs=None, **_):  # noqa: ANN001
        if not logs or "loss" not in logs:
            return
        loss = float(logs["loss"])
        old = state.log_history[: -self.REMEMBERED]
        state.log_history[: len(old)] = [entry for entry in old if HELD_OUT in entry]
        self.losses = [float(entry["loss"]) for entry in state.log_history if "loss" in entry]
        every = max(1, state.max_steps // self.LINES)
        if state.global_step % every == 0 or state.global_step == state.max_steps:
            metric(step=state.global_step, steps=state.max_steps, train_loss=loss, lr=float(logs.get("learning_rate", 0)),
                   tokens=int(logs.get("num_tokens", 0)), seconds=time.monotonic() - self.began)
        if not math.isfinite(loss):
            self.bad = True
            control.should_training_stop = True
            control.should_save = False  # nothing is to go on from here

    def recent(self, steps: int) -> float:
        """Mean loss of the last tenth of `steps` (at most of 1,000)."""
        last = self.losses[-max(1, steps // 10):]
        return sum(last) / len(last) if last else math.nan


class KeepAdapters(TrainerCallback):
    """Writes the adapter at fixed parts of the run to `<folder>/adapter-<step>`; a resumed run finds the earlier ones."""

    def __init__(self, folder: Path, steps: int, count: int, base_id: str) -> None:
        self.folder, self.base_id = folder, base_id
        parts = KEPT_AT if count == len(KEPT_AT) else [(n + 0.6) / count for n in range(count)]
        self.steps = sorted({max(1, round(part * steps)) for part in parts})

    def path(self, step: int) -> Path:
        return self.folder / f"adapter-{step}"

    def folders(self) -> list[Path]:
        return [self.path(step) for step in self.steps]

    def on_step_end(self, args, state, control, model=None, **_):  # noqa: ANN001
        if state.global_step in self.steps:
            unfinished = self.folder / f".adapter-{state.global_step}"
            write_adapter(model, unfinished, self.base_id)
            shutil.rmtree(self.path(state.global_step), ignore_errors=True)
            os.replace(unfinished, self.path(state.global_step))


class StopSignals(TrainerCallback):
    """Saves and stops at the end of the step in which SIGTERM came or the deadline passed; saves every two minutes too.

    The step that ends a run is always saved: what follows it may be interrupted as well. When a step is saved is a matter
    of time, what is computed is not: saving draws no random numbers.
    """

    def __init__(self, interruption: Interruption, deadline: float | None) -> None:
        self.interruption, self.deadline = interruption, deadline
        self.saved = time.monotonic()

    def on_step_end(self, args, state, control, **_):  # noqa: ANN001
        now = time.monotonic()
        late = self.deadline is not None and now >= self.deadline
        if self.interruption.came or (late and state.global_step < state.max_steps):
            control.should_training_stop = True
        if control.should_training_stop or state.global_step >= state.max_steps or now - self.saved > SAVE_EVERY_SECONDS:
            control.should_save = True

    def on_save(self, args, state, control, **_):  # noqa: ANN001
        """Only the newest checkpoint stays."""
        self.saved = time.monotonic()
        for old in Path(args.output_dir).glob("checkpoint-*"):
            if old.name != f"checkpoint-{state.global_step}":
                shutil.rmtree(old, ignore_errors=True)


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint: the trainer's state is written last, a process that was killed left none."""
    def whole(path: Path) -> bool:
        try:
            return isinstance(json.loads((path / "trainer_state.json").read_text(encoding="utf-8")), dict)
        except (OSError, ValueError):
            return False
    found = sorted((p for p in folder.glob("checkpoint-*") if p.name[11:].isdigit()), key=lambda p: -int(p.name[11:]))
    return next((path for path in found if whole(path)), None)
