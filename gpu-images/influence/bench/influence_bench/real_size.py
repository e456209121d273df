"""python -m influence_bench.real_size [ROWS [TOKENS [small]]]: one fit at rank 16 on a base of 34 M, or with `small` at
rank 4 on one of 0.1 M, memory and passes beside the formula of influence.footprint. 10,000 rows of 16 tokens take about
half an hour on one core; 100,000 rows of 8 tokens on the small base a quarter of an hour."""

import json
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from influence.adapter import Adapter, LoraModule, read_adapter
from influence.fit import fit_store
from influence.footprint import fit_bytes, row_passes
from influence.probe import LoraProbe
from influence.settings import Settings

from .costs import peak_bytes
from .task import write_peft


def make(folder: Path, small: bool):
    """(model, adapter): random weights; what a fit costs does not depend on them."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4} if small else {
        "hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 8, "num_attention_heads": 8}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=1024 if small else 16384, max_position_embeddings=128,
                                         tie_word_embeddings=True, **sizes))
    rank = 4 if small else 16
    drawn = lambda *shape: torch.randn(*shape) / 30
    modules = tuple(LoraModule(name, drawn(rank, m.weight.shape[1]), drawn(m.weight.shape[0], rank), 2.0)
                    for name, m in sorted(model.named_modules())
                    if isinstance(m, torch.nn.Linear) and name != "lm_head")
    model.save_pretrained(folder / "base")
    write_peft(Adapter(modules, ""), folder / "adapter")
    return model, read_adapter(folder / "adapter")


def main(count: int, length: int, small: bool) -> None:
    torch.set_num_threads(1)
    settings = Settings() if small else replace(Settings(), cache_bytes=0, sample_rows=min(1024, count // 4),
                                                corrected_rows=min(512, count // 8), batch_tokens=512)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model, adapter = make(folder, small)
        probe = LoraProbe(model, adapter)
        shapes = probe.shapes()
        probe.detach()
        from influence.base_model import load_base

        base = load_base(folder / "base", need_tokenizer=False)
        del model
        vocabulary = base.vocabulary
        generator = torch.Generator().manual_seed(1)
        tokens = torch.randint(0, vocabulary, (count, length), generator=generator).tolist()
        rows = [{"id": f"r{n}", "input_ids": t} for n, t in enumerate(tokens)]
        loss = base.model(input_ids=torch.tensor(tokens[:16])).logits.sum()  # a forward's own memory counts as the model's
        del loss
        before, began = peak_bytes(), time.process_time()
        made = fit_store(folder / "base", [folder / "adapter"], rows, folder / "store", base=base, settings=settings)
        seconds, peak = time.process_time() - began, peak_bytes()
        began = time.process_time()
        probe = LoraProbe(base.model, adapter)
        a = [(a.requires_grad_(True), b.requires_grad_(True), s) for a, b, s in probe.weights]
        probe.weights = a
        from influence.gradients import batch_losses
        from influence.rows import to_sequence

        some = [to_sequence(r, None, 128, vocabulary) for r in rows[:48]]
        for at in range(0, 48, 16):
            batch_losses(base.model, some[at : at + 16]).sum().backward()
        step = (time.process_time() - began) / 48
        formula = fit_bytes(shapes, count, count * length, 1, vocabulary, settings)
        print(json.dumps({
            "baseParameters": sum(p.numel() for p in base.model.parameters()), "rank": shapes[0][0], "rows": count,
            "loraParameters": sum(r * d for r, d in shapes), "tokensARow": length, "fitSeconds": round(seconds, 2),
            "rowsASecond": round(count / seconds, 1),
            "trainingSecondsARow": round(step, 5), "rowPasses": row_passes(shapes, count, settings),
            "fitSecondsARowPass": round(seconds / row_passes(shapes, count, settings), 5),
            "measuredBytesAboveModel": peak - before, "formulaBytes": formula["peak"], "storeBytes": made["bytes"],
            "measuredOverFormula": round((peak - before) / formula["peak"], 3), "formula": formula}))


if __name__ == "__main__":
    rows, tokens = [*sys.argv[1:3], *("400", "32")[len(sys.argv[1:3]) :]]
    main(int(rows), int(tokens), sys.argv[3:] == ["small"])
