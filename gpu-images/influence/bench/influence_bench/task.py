"""One draw: a small base pre-trained on other text, 12 contributors' rows, held-out queries, edited copies of rows, an
adapter trained on all rows with its checkpoints. All of it lies in a folder: retrainings and peers are own processes."""

import json
import random
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from influence.adapter import Adapter, LoraModule
from influence.base_model import Base, load_base
from influence.fit import checkpoint_folders
from influence.retraining import Schedule, retrain
from influence.rows import Sequence, Window
from safetensors.torch import save_file

TOKENS = 64
RANK, ALPHA = 4, 8
CHECKPOINTS = (0.15, 0.40, 0.65, 0.90)


@dataclass(frozen=True)
class Protocol:
    """more_each: queries beyond the protocol's own, for leaving out a contributor alone: 36 hits or misses say little."""

    contributors: int = 12
    rows_each: int = 50
    queries_each: int = 3
    more_each: int = 9
    steps: int = 160
    batch_rows: int = 15
    learning_rate: float = 5e-3
    subsets: int = 64
    leave_out_seeds: int = 3
    pretraining_steps: int = 1500
    duplicates: int = 60
    many_rows: int = 10_000

    def schedule(self, seed: int) -> Schedule:
        return Schedule(self.steps, self.batch_rows, self.learning_rate, seed)


def make_base(folder: Path, text: str, steps: int, seed: int = 0) -> None:
    """Llama-shaped, width 64, 2 layers, BPE of 1,024: 8,704 LoRA parameters at rank 4."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.train_from_iterator([text], trainers.BpeTrainer(
        vocab_size=1024, special_tokens=["<s>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="<s>")
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=1024, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, max_position_embeddings=128, tie_word_embeddings=True, initializer_range=0.05))
    tokens = torch.tensor(tokenizer(text)["input_ids"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    model.train()
    for _ in range(steps):
        at = torch.randint(len(tokens) - TOKENS, (16,))
        batch = torch.stack([tokens[a : a + TOKENS] for a in at])
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
        plan.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def fresh_adapter(model: torch.nn.Module, seed: int) -> Adapter:
    """PEFT's default: A Kaiming-uniform with a = sqrt(5), B zero, on every linear but the head."""
    generator = torch.Generator().manual_seed(seed)
    modules = []
    for name, linear in sorted(model.named_modules()):
        if isinstance(linear, torch.nn.Linear) and not name.endswith("lm_head"):
            out, width = linear.weight.shape
            a = (torch.rand(RANK, width, generator=generator) * 2 - 1) / width**0.5
            modules.append(LoraModule(name, a, torch.zeros(out, RANK), ALPHA / RANK))
    return Adapter(tuple(modules), "")


def write_peft(adapter: Adapter, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"base_model.model.{m.name}.lora_{side}.weight": t.contiguous() for m in adapter.modules
               for side, t in (("A", m.a), ("B", m.b))}
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "r": RANK, "lora_alpha": ALPHA, "bias": "none", "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "base", "target_modules": sorted({m.name.split(".")[-1] for m in adapter.modules})}))
    return folder


def draw_rows(sources: dict[str, list[int]], protocol: Protocol, seed: int) -> tuple[list[dict], list[dict]]:
    """rows and queries, the protocol's own first: disjoint, shuffled stretches of TOKENS tokens of each contributor's
    source (its token ids)."""
    chooser, own = random.Random(seed), protocol.rows_each + protocol.queries_each
    wanted = own + protocol.more_each
    rows, queries, more = [], [], []
    for name, tokens in sorted(sources.items()):
        starts = list(range(0, len(tokens) - TOKENS, TOKENS))
        if len(starts) < wanted:
            raise SystemExit(f"{name}: {len(starts)} stretches of {TOKENS} tokens, {wanted} are needed")
        for n, start in enumerate(chooser.sample(starts, wanted)):
            record = {"id": f"{name}-{n}", "input_ids": tokens[start : start + TOKENS], "contributor": name}
            (rows if n < protocol.rows_each else queries if n < own else more).append(record)
    return rows, queries + more


def edited_copies(rows: list[dict], count: int, seed: int) -> list[dict]:
    """`count` rows, spread evenly, with a quarter of their tokens replaced by tokens of other rows; `source` = the
    position of the row that was copied."""
    chooser, out = random.Random(seed + 1), []
    pool = [t for r in rows for t in r["input_ids"]]
    for n in range(count):
        source = n * len(rows) // count
        tokens = list(rows[source]["input_ids"])
        for at in chooser.sample(range(len(tokens)), len(tokens) // 4):
            tokens[at] = chooser.choice(pool)
        out.append({"id": f"copy-{n}", "input_ids": tokens, "contributor": rows[source]["contributor"], "source": source})
    return out


def sequences(records: list[dict]) -> list[Sequence]:
    return [Sequence(r["id"], (Window(tuple(r["input_ids"]), tuple(range(1, len(r["input_ids"])))),), r["id"],
                     r["contributor"]) for r in records]


@dataclass
class Task:
    folder: Path
    protocol: Protocol
    rows: list[dict]
    queries: list[dict]
    duplicates: list[dict]
    seed: int

    def base(self) -> Base:
        return load_base(self.folder / "base", need_tokenizer=False)

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    @property
    def checkpoints(self) -> list[Path]:
        return checkpoint_folders(self.adapter)

    @property
    def owners(self) -> list[str]:
        return [r["contributor"] for r in self.rows]


def make_task(folder: Path, base_dir: Path, sources: dict[str, list[int]], protocol: Protocol, seed: int) -> Task:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "base").symlink_to(base_dir.resolve())
    model = load_base(base_dir, need_tokenizer=False).model
    rows, queries = draw_rows(sources, protocol, seed)
    save_at = tuple(round(share * protocol.steps) for share in CHECKPOINTS)
    trained = retrain(model, fresh_adapter(model, seed), sequences(rows), set(range(len(rows))),
                      protocol.schedule(seed), save_at)
    for step, adapter in zip(save_at, trained):
        write_peft(adapter, folder / "adapter" / "checkpoints" / f"step-{step}")
    write_peft(trained[-1], folder / "adapter")
    (folder / "task.json").write_text(json.dumps({
        "protocol": asdict(protocol), "rows": rows, "queries": queries, "seed": seed,
        "duplicates": edited_copies(rows, protocol.duplicates, seed), "manyRows": protocol.many_rows}))
    return read_task(folder)


def read_task(folder: Path) -> Task:
    found = json.loads((folder / "task.json").read_text())
    return Task(folder, Protocol(**found["protocol"]), found["rows"], found["queries"], found["duplicates"],
                found["seed"])
