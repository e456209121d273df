"""Adapters made by PEFT itself on stock architectures: the hooks' gradients against autograd through PEFT."""

import pytest
import torch
from influence.adapter import read_adapter
from influence.base_model import load_base
from influence.gradients import row_gradients
from influence.merged_probe import fitting_probe
from influence.probe import LoraProbe
from influence.rows import Sequence, Window
from influence.settings import Settings

SMALL = {"vocab_size": 61, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
GPT2 = {"vocab_size": 61, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
WIDE = {**SMALL, "intermediate_size": 24, "max_position_embeddings": 32}
GROUPED = {**WIDE, "num_key_value_heads": 1}
# class prefix: (config, LoRA targets)
STOCK = {
    "GPT2LMHead": (GPT2, ["c_attn", "c_proj", "c_fc"]),
    "GPTNeoX": (WIDE, ["query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"]),
    "Mistral": (GROUPED, "all-linear"),
    "Qwen3": ({**GROUPED, "head_dim": 8}, ["q_proj", "v_proj"]),
    "Gemma2": ({**GROUPED, "head_dim": 8}, "all-linear"),
    "OPT": ({**SMALL, "ffn_dim": 24, "max_position_embeddings": 32, "word_embed_proj_dim": 16}, "all-linear"),
    "Bloom": ({"vocab_size": 61, "hidden_size": 16, "n_layer": 2, "n_head": 2}, ["query_key_value", "dense_h_to_4h"]),
    "Phi": (WIDE, "all-linear"),
    "Falcon": ({**SMALL, "new_decoder_architecture": False}, "all-linear"),
    "GPTJ": ({**GPT2, "rotary_dim": 4}, ["q_proj", "out_proj", "fc_in"]),
    "Llama": (GROUPED, ["lm_head", "o_proj"]),
    "Mpt": ({"vocab_size": 61, "d_model": 16, "n_layers": 2, "n_heads": 2, "max_seq_len": 32}, "all-linear"),
}


def make(name: str, folder, **lora):
    """(base folder, adapter folder): random weights, B not zero."""
    import transformers
    from peft import LoraConfig, get_peft_model

    config, targets = STOCK[name]
    config_class = name.removesuffix("LMHead") + "Config"
    torch.manual_seed(5)
    model = getattr(transformers, f"{name}Model" if name.endswith("Head") else f"{name}ForCausalLM")(
        getattr(transformers, config_class)(**config))
    model.save_pretrained(folder / "base")
    adapted = get_peft_model(model, LoraConfig(r=3, lora_alpha=6, target_modules=targets, task_type="CAUSAL_LM",
                                               init_lora_weights=False, **lora))
    adapted.save_pretrained(folder / "adapter")
    return folder / "base", folder / "adapter"


@pytest.mark.parametrize("name", [name for name in STOCK if name not in ("Bloom", "Falcon")])  # these two have no limit
def test_a_row_longer_than_the_context_is_cut_to_it(name, tmp_path):
    from influence.rows import cut_windows

    base_dir, adapter_dir = make(name, tmp_path)
    base = load_base(base_dir, need_tokenizer=False)
    assert base.context == 32
    row = Sequence("long", cut_windows([t % 61 for t in range(100)], list(range(1, 100)), base.context))
    (loss,) = row_gradients(LoraProbe(base.model, read_adapter(adapter_dir)), [row], lambda *_: None)
    assert loss < 10


@pytest.mark.parametrize("of_fit", [False, True])
@pytest.mark.parametrize("name", STOCK)
def test_a_stock_peft_adapter_has_exact_per_row_gradients(name, of_fit, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    base_dir, adapter_dir = make(name, tmp_path, use_rslora=name == "Mistral")
    tokens = torch.randint(0, 61, (2, 14), generator=torch.Generator().manual_seed(2)).tolist()
    rows = [Sequence("long", (Window(tuple(tokens[0]), tuple(range(1, 14))),)),
            Sequence("short", (Window(tuple(tokens[1][:9]), (6, 7, 8)),))]
    adapter, mine = read_adapter(adapter_dir), {}
    base = load_base(base_dir, need_tokenizer=False).model
    probe = fitting_probe(base, adapter, Settings()) if of_fit else LoraProbe(base, adapter)
    losses = row_gradients(probe, rows, mine.__setitem__)

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base_dir), adapter_dir, is_trainable=True)
    model.eval()
    for n, row in enumerate(rows):
        (window,) = row.windows
        labels = torch.full((1, len(window.tokens)), -100)
        labels[0, list(window.targets)] = torch.tensor(window.tokens)[list(window.targets)]
        model.zero_grad()
        loss = model(input_ids=torch.tensor([window.tokens]), labels=labels).loss
        loss.backward()
        assert losses[n] == pytest.approx(loss.item(), rel=1e-4)
        expected = {k.replace(".default.", "."): p.grad for k, p in model.named_parameters() if p.requires_grad}
        assert len(expected) == 2 * len(adapter.modules)
        for m, module in enumerate(adapter.modules):
            a = expected[f"base_model.model.{module.name}.lora_A.weight"]
            b = expected[f"base_model.model.{module.name}.lora_B.weight"]
            torch.testing.assert_close(mine[2 * m][n], a, rtol=1e-3, atol=1e-5)
            torch.testing.assert_close(mine[2 * m + 1][n].T, b, rtol=1e-3, atol=1e-5)
