"""bergson 2.5.1 with its default preconditioner on the same adapter, in a venv of its own:
python -m influence_bench.peer_bergson TASK OUT.

Nothing of it is changed. Default: dense autocorrelation matrix per LoRA matrix, damped inverse, no projection, the
query's gradient preconditioned (one-sided), as `Attributor` does with a `hessian_path`.
"""

import json
import sys
import time
from pathlib import Path

import torch
from bergson import CollectorComputer, GradientProcessor, IndexConfig, InMemoryCollector
from bergson.hessians.preconditioner import DensePreconditioner
from bergson.utils.peft import detect_peft_modules
from datasets import Dataset
from peft import PeftModel
from transformers import AutoModelForCausalLM

BATCH = 16


def gradients(model, modules, records: list[dict], processor: GradientProcessor, out: Path, fit: bool) -> dict:
    """{matrix: (records, parameters)}; with `fit` the processor learns its Hessians from these records."""
    data = Dataset.from_dict({"input_ids": [r["input_ids"] for r in records],
                              "labels": [r["input_ids"] for r in records],
                              "length": [len(r["input_ids"]) for r in records]})
    settings = IndexConfig(run_path=str(out / "run"), projection_dim=0)
    settings.partial_run_path.mkdir(parents=True, exist_ok=True)
    collector = InMemoryCollector(model=model.base_model, data=data, cfg=settings, processor=processor,
                                  target_modules=modules, skip_hessians=not fit)
    batches = [list(range(at, min(at + BATCH, len(records)))) for at in range(0, len(records), BATCH)]
    CollectorComputer(model, data, collector=collector, batches=batches, cfg=settings).run_with_collector_hooks()
    return {name: value.float() for name, value in collector.gradients.items()}


def main(task_dir: Path, out: Path) -> None:
    torch.set_num_threads(1)
    task = json.loads((task_dir / "task.json").read_text())
    base = AutoModelForCausalLM.from_pretrained(task_dir / "base", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, task_dir / "adapter", is_trainable=True).eval()
    model.requires_grad_(False)
    model.get_input_embeddings().requires_grad_(True)
    modules = detect_peft_modules(model)
    processor, began = GradientProcessor(), time.monotonic()
    rows = gradients(model, modules, task["rows"], processor, out, fit=True)
    inverse = DensePreconditioner.from_processor(processor)
    cost = {"fitSeconds": round(time.monotonic() - began, 3)}
    scores = {}
    for name in ("queries", "duplicates"):
        began = time.monotonic()
        asked = inverse.apply(gradients(model, modules, task[name], GradientProcessor(), out, fit=False))
        scores[name] = sum(asked[m] @ rows[m].T for m in rows)
        cost["queryMs"] = cost.get("queryMs") or round(1000 * (time.monotonic() - began) / len(task[name]), 2)
    cost["bytesPerRow"] = 4 * sum(g.shape[1] for g in rows.values())
    torch.save({"default": {"scores": scores, "cost": cost}}, out / "bergson.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
