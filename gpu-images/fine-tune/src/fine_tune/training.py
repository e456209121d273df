"""The training itself: TRL's SFTTrainer over windows in a fixed order, with checkpoints that a later start goes on from."""

import time
from pathlib import Path

import datasets
import torch
from peft import PeftModel, set_peft_model_state_dict
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerBase, PrinterCallback, ProgressCallback, Trainer, TrainerState
from trl import SFTConfig, SFTTrainer

from fine_tune.early_stop import EarlyStop
from fine_tune.examples import Example
from fine_tune.interruption import Interruption
from fine_tune.job import Job
from fine_tune.lora import WEIGHTS
from fine_tune.order import batches, total_steps
from fine_tune.refusal import Interrupted, Refusal
from fine_tune.watch import KeepAdapters, StopSignals, TellMetrics, last_checkpoint

# Runs of a few hundred steps: 0.999 would average gradients over the whole run (loss 0.1 lower with 0.98 in the pilot).
ADAM_BETA2 = 0.98


def settings(folder: Path, job: Job, steps: int) -> SFTConfig:
    """TRL's settings. The dataset is already ordered and repeated: one sequential pass over it is the whole run."""
    chosen = job.hyperparameters
    cuda = torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder), per_device_train_batch_size=chosen.batchSize, max_steps=steps,
        learning_rate=chosen.learningRate, lr_scheduler_type=chosen.schedule if chosen.schedule != "constant" else "constant_with_warmup",
        warmup_steps=int(chosen.warmupRatio * steps), weight_decay=0.0, adam_beta2=ADAM_BETA2, seed=chosen.seed, data_seed=chosen.seed,
        train_sampling_strategy="sequential", shuffle_dataset=False, packing=False, max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True}, remove_unused_columns=True, dataloader_pin_memory=cuda,
        bf16=cuda and job.method != "full-precision-lora", use_cpu=not cuda, gradient_checkpointing=cuda,
        report_to=[], disable_tqdm=True, logging_steps=1, logging_nan_inf_filter=False,
        save_strategy="no", loss_type="nll", optim="adamw_torch_fused")


class LeanTrainer(SFTTrainer):
    """SFTTrainer without what it measures beside the loss (entropy, accuracy, flops): a sixth of a small step's time."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):  # noqa: ANN001
        inputs["use_cache"] = False
        self._total_train_tokens += int(inputs["attention_mask"].sum())
        self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
        return Trainer.compute_loss(self, model, inputs, return_outputs, num_items_in_batch)

    def floating_point_ops(self, inputs) -> int:  # noqa: ANN001
        return 0

    def create_model_card(self, *_, **__) -> None:  # noqa: ANN002, ANN003
        """None: its text carries local paths."""


def ordered(examples: list[Example], job: Job) -> tuple[datasets.Dataset, int]:
    """The windows in the order of the run, and the number of steps."""
    chosen = job.hyperparameters
    windows = [piece for example in examples for piece in example.windows(chosen.maxSequenceLength)]
    if not windows:
        raise Refusal("no-rows", "no row has two tokens or more to train on")
    steps = total_steps(len(windows), chosen.batchSize, chosen.epochs, chosen.maxSteps)
    plan = batches([len(ids) for ids, _ in windows], chosen.batchSize, steps, chosen.seed)
    shown = [windows[number] for batch in plan for number in batch]
    return datasets.Dataset.from_dict({"input_ids": [ids for ids, _ in shown], "labels": [labels for _, labels in shown]}), steps


def train(model: PeftModel, tokenizer: PreTrainedTokenizerBase, examples: list[Example], held_out: list[Example], job: Job,
          folder: Path, started: float, interruption: Interruption) -> dict:
    """Train in place. Returns {"steps", "train_loss", "seconds", "adapters": [folders]}; `steps` are those that ran.

    A run whose last step was saved is not trained again. Raises Interrupted after SIGTERM, Refusal("time-limit") when the
    job's seconds are over (both with a checkpoint), Refusal("diverged") when the loss is no longer a number.
    """
    dataset, steps = ordered(examples, job)
    signals = StopSignals(interruption, None if job.max_seconds is None else started + job.max_seconds)
    tell = TellMetrics()
    keep = KeepAdapters(folder, steps, int(job.influence.get("checkpoints") or 0), job.base_id)
    began = time.monotonic()
    early = EarlyStop(folder, held_out, job, steps, tokenizer.pad_token_id)
    trainer = LeanTrainer(model=model, args=settings(folder, job, steps), train_dataset=dataset,
                         processing_class=tokenizer, callbacks=[tell, keep, early, signals])
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    last = last_checkpoint(folder)
    before = TrainerState.load_from_json(str(last / "trainer_state.json")) if last else None
    if last and before and (before.global_step >= steps or early.over(before.log_history)):
        set_peft_model_state_dict(model, load_file(last / WEIGHTS))
        trainer.state = before
        tell.losses = [float(entry["loss"]) for entry in before.log_history if "loss" in entry]
    else:
        with interruption.noted():
            trainer.train(resume_from_checkpoint=str(last) if last else None)
    ran = trainer.state.global_step
    if tell.bad:
        raise Refusal("diverged", f"the loss is not a number after step {ran}: lower the learning rate")
    if interruption.came:
        raise Interrupted(f"stopped after step {ran} of {steps}")
    ended_early = early.over(trainer.state.log_history)
    if ran < steps and not ended_early:
        raise Refusal("time-limit", f"{job.max_seconds:g} seconds were over after step {ran} of {steps}")
    early.restore(model)
    kept = [path for path in keep.folders() if path.is_dir()]
    return {"steps": ran, "train_loss": tell.recent(ran), "seconds": time.monotonic() - began,
            "adapters": kept or [early.best]}
