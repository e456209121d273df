"""kronfluence 1.0.1 EK-FAC on the same adapter, in a venv of its own: python -m influence_bench.peer_kronfluence TASK OUT.

Nothing of it is changed. Tracked modules: the LoRA A and B linears that PEFT makes. Train loss = mean token loss of a
row (all rows have one length, so a sum differs by a factor); measurement = the same on a query.
"""

import json
import sys
import time
from pathlib import Path

import torch
from kronfluence.analyzer import Analyzer, prepare_model
from kronfluence.arguments import FactorArguments, ScoreArguments
from kronfluence.task import Task as KronTask
from peft import PeftModel
from torch.nn import functional
from torch.utils.data import Dataset
from transformers import AutoModelForCausalLM


class Tokens(Dataset):
    def __init__(self, records):
        self.tokens = torch.tensor([r["input_ids"] for r in records])

    def __len__(self):
        return len(self.tokens)

    def __getitem__(self, index):
        return self.tokens[index]


class LanguageModelling(KronTask):
    def __init__(self, names):
        self.names = names

    def compute_train_loss(self, batch, model, sample=False):
        logits = model(input_ids=batch, use_cache=False).logits[:, :-1].float()
        labels = batch[:, 1:]
        if sample:
            with torch.no_grad():
                chances = functional.softmax(logits.detach(), dim=-1).flatten(0, 1)
                labels = torch.multinomial(chances, 1).view_as(labels)
        total = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
        return total / labels.shape[1]

    def compute_measurement(self, batch, model):
        return self.compute_train_loss(batch, model)

    def get_influence_tracked_modules(self):
        return self.names


def main(task_dir: Path, out: Path) -> None:
    torch.set_num_threads(1)
    task = json.loads((task_dir / "task.json").read_text())
    base = AutoModelForCausalLM.from_pretrained(task_dir / "base", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, task_dir / "adapter", is_trainable=True).eval()
    names = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and (".lora_A." in n or ".lora_B." in n)]
    kron = LanguageModelling(names)
    model = prepare_model(model, kron)
    analyzer = Analyzer("bench", model, kron, cpu=True, output_dir=str(out / "kron"), disable_tqdm=True)
    rows, queries = Tokens(task["rows"]), Tokens(task["queries"])
    began = time.monotonic()
    analyzer.fit_all_factors("f", rows, per_device_batch_size=16, factor_args=FactorArguments(strategy="ekfac"),
                             overwrite_output_dir=True)
    cost = {"fitSeconds": round(time.monotonic() - began, 3)}
    scores = {}
    for name, damping in (("default", ScoreArguments().damping_factor), ("damping .1 x mean", None)):
        began = time.monotonic()
        analyzer.compute_pairwise_scores(name.replace(" ", "_"), "f", queries, rows, per_device_query_batch_size=36,
                                         per_device_train_batch_size=16,
                                         score_args=ScoreArguments(damping_factor=damping), overwrite_output_dir=True)
        scores[name] = analyzer.load_pairwise_scores(name.replace(" ", "_"))["all_modules"].float()
        cost[f"queryMs {name}"] = round(1000 * (time.monotonic() - began) / len(queries), 2)
    torch.save({"scores": scores, "cost": cost}, out / "kronfluence.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
