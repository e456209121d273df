"""Tiny random Llama models and LoRA adapters, written as real folders."""

import json

import pytest
import torch
from safetensors.torch import save_file

torch.set_num_threads(1)


def _tokenizer():
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(["<s>", *alphabet])}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="<s>")


@pytest.fixture(scope="session")
def base_dir(tmp_path_factory):
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=257, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, tie_word_embeddings=True, initializer_range=0.1))
    tokenizer = _tokenizer()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    texts = _texts(24, seed=11)
    batch = torch.tensor([tokenizer(t)["input_ids"][:40] for t in texts])
    for _ in range(60):  # enough that words cost less than noise
        model(input_ids=batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _texts(count, seed):
    words = "alpha beta gamma delta lease tenant landlord swap pool oracle vault bond coupon yield".split()
    generator = torch.Generator().manual_seed(seed)
    return [" ".join(words[i] for i in torch.randint(len(words), (9,), generator=generator).tolist())
            for _ in range(count)]


TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def write_adapter(base_dir, folder, rank=4, seed=1, targets=TARGETS, alpha=8, size=0.05, **config):
    """A PEFT folder with random A and B (B not zero, so that both have gradients)."""
    from transformers import AutoModelForCausalLM

    generator = torch.Generator().manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base_dir)
    tensors = {}
    for name, module in model.named_modules():
        if name.split(".")[-1] in targets:
            out, width = module.weight.shape
            tensors[f"base_model.model.{name}.lora_A.weight"] = torch.randn(rank, width, generator=generator) * size
            tensors[f"base_model.model.{name}.lora_B.weight"] = torch.randn(out, rank, generator=generator) * size
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({
        "peft_type": "LORA", "r": rank, "lora_alpha": alpha, "target_modules": list(targets), "bias": "none",
        "task_type": "CAUSAL_LM", "base_model_name_or_path": "x", **config}))
    return folder


@pytest.fixture(scope="session")
def adapter_dir(base_dir, tmp_path_factory):
    return write_adapter(base_dir, tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="session")
def rows():
    return [{"id": f"row_{n:024x}", "text": text, "contributor": f"ctr_{n % 3}"} for n, text in
            enumerate(_texts(12, seed=3))]
