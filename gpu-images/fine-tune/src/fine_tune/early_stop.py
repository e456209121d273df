"""Stops a run whose held-out loss no longer falls, and gives back the best adapter that it had."""

import os
import shutil
from pathlib import Path

from peft import PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import TrainerCallback

from fine_tune.evaluate import mean_loss
from fine_tune.examples import Example
from fine_tune.job import Job
from fine_tune.lora import WEIGHTS, write_adapter
from fine_tune.refusal import Refusal
from fine_tune.watch import HELD_OUT, metric


class EarlyStop(TrainerCallback):
    """Measures the held-out rows twenty times a run; `patience` times in a row without a better loss end it.

    The losses stand in the trainer's history and the best adapter in `<folder>/best`: both are there after a restart, so
    an interrupted run stops at the same step, with the same adapter. Measuring draws no random numbers.
    """

    TIMES = 20

    def __init__(self, folder: Path, held_out: list[Example], job: Job, steps: int, pad: int) -> None:
        chosen = job.hyperparameters
        self.patience, self.length, self.batch_size = chosen.earlyStopPatience, chosen.maxSequenceLength, chosen.batchSize
        self.best, self.base_id, self.held_out, self.pad = folder / "best", job.base_id, held_out, pad
        self.every = max(1, steps // self.TIMES)
        if self.patience and not any(example.windows(self.length) for example in held_out):
            raise Refusal("bad-job", "hyperparameters.earlyStopPatience needs held-out rows: set evalFraction above 0")

    def over(self, history: list[dict]) -> bool:
        """Whether the run ends here: the best loss is `patience` measurements old."""
        losses = [entry[HELD_OUT] for entry in history if HELD_OUT in entry]
        return bool(self.patience and losses) and len(losses) - 1 - losses.index(min(losses)) >= self.patience

    def on_step_end(self, args, state, control, model=None, **_):  # noqa: ANN001
        if not self.patience or state.global_step % self.every:
            return
        model.eval()
        loss = mean_loss(model, self.held_out, self.length, self.batch_size, self.pad)
        model.train()
        metric(step=state.global_step, eval_loss=loss)
        earlier = [entry[HELD_OUT] for entry in state.log_history if HELD_OUT in entry]
        state.log_history.append({"step": state.global_step, HELD_OUT: loss})
        if not earlier or loss < min(earlier):
            unfinished = self.best.with_name(".best")
            write_adapter(model, unfinished, self.base_id)
            shutil.rmtree(self.best, ignore_errors=True)
            os.replace(unfinished, self.best)
        if self.over(state.log_history):
            control.should_training_stop = True

    def restore(self, model: PeftModel) -> None:
        """The best adapter's weights go back into the model; nothing happens where none was measured."""
        if self.patience and self.best.is_dir():
            set_peft_model_state_dict(model, load_file(self.best / WEIGHTS))
