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

DAMPINGS = {"default": ScoreArguments().damping_factor, "damping .1 x mean": None}


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


class Peer:
    """Factors of the task's rows, then pairwise scores of any queries on any rows."""

    def __init__(self, task_dir: Path, rows: Tokens, out: Path):
        base = AutoModelForCausalLM.from_pretrained(task_dir / "base", dtype=torch.float32)
        model = PeftModel.from_pretrained(base, task_dir / "adapter", is_trainable=True).eval()
        linears = [n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear)]
        task = LanguageModelling([n for n in linears if ".lora_A." in n or ".lora_B." in n])
        self.analyzer = Analyzer("bench", prepare_model(model, task), task, cpu=True, output_dir=str(out / "kron"),
                                 disable_tqdm=True)
        self.calls = 0
        began = time.monotonic()
        self.analyzer.fit_all_factors("f", rows, per_device_batch_size=16, overwrite_output_dir=True,
                                      factor_args=FactorArguments(strategy="ekfac"))
        self.fit_seconds = round(time.monotonic() - began, 3)

    def scores(self, queries: Tokens, rows: Tokens, damping) -> tuple[torch.Tensor, float]:
        """((queries, rows), seconds): all queries in one batch, so every training gradient is computed once."""
        self.calls += 1
        began = time.monotonic()
        self.analyzer.compute_pairwise_scores(
            f"s{self.calls}", "f", queries, rows, per_device_query_batch_size=len(queries),
            per_device_train_batch_size=16, score_args=ScoreArguments(damping_factor=damping),
            overwrite_output_dir=True)
        found = self.analyzer.load_pairwise_scores(f"s{self.calls}")["all_modules"].float()
        return found, time.monotonic() - began


def main(task_dir: Path, out: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    task = json.loads((task_dir / "task.json").read_text())
    rows = Tokens(task["rows"])
    peer, found = Peer(task_dir, rows, out), {}
    for name, damping in DAMPINGS.items():
        scores, seconds = peer.scores(Tokens(task["queries"]), rows, damping)
        cost = {"fitSeconds": peer.fit_seconds, "queryMs": round(1000 * seconds / len(task["queries"]), 2),
                "bytesPerRow": "recomputes every training gradient per query batch"}
        copies, _ = peer.scores(Tokens(task["duplicates"]), rows, damping)
        found[name] = {"scores": {"queries": scores, "duplicates": copies}, "cost": cost}
    if task["manyRows"]:  # what one query costs at 10,000 rows: the same rows again and again
        many = Tokens((task["rows"] * (task["manyRows"] // len(rows) + 1))[: task["manyRows"]])
        _, one = peer.scores(Tokens(task["queries"][:1]), many, None)
        found["damping .1 x mean"]["cost"]["oneQuerySecondsAtManyRows"] = round(one, 3)
    torch.save(found, out / "kronfluence.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
