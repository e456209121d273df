"""Makers of tiny bases and adapters, the stock transformers + PEFT oracle, and an engine over such a folder."""

from __future__ import annotations

from functools import lru_cache, partial
from pathlib import Path

import boto3
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoModelForCausalLM, FalconConfig, Gemma2Config, GPT2Config, GPTNeoXConfig, Lfm2Config, Llama4TextConfig, LlamaConfig,
    Mamba2Config, MistralConfig, Phi3Config, PreTrainedTokenizerFast, Qwen2Config, RecurrentGemmaConfig, StableLmConfig,
)  # fmt: skip

from open_lora.adapters.sources import FolderSource
from open_lora.adapters.tiers import AdapterTiers
from open_lora.adapters.weights import Limits, read_adapter
from open_lora.torch_engine.base_model import load_base
from open_lora.torch_engine.engine import TorchEngine
from open_lora.torch_engine.lora_linear import PlanHolder, attach, base_weight
from open_lora.torch_engine.scheduler import EngineLimits

VOCABULARY = 384
SHAPE = {"vocab_size": VOCABULARY, "bos_token_id": 0, "eos_token_id": 1, "initializer_range": 0.2}
WIDE = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 192}  # fmt: skip
CONFIGS = {
    "llama": lambda: LlamaConfig(**SHAPE, **WIDE, num_key_value_heads=2),
    "long": lambda: LlamaConfig(**SHAPE, **WIDE | {"max_position_embeddings": 4096}, num_key_value_heads=2),
    "qwen2": lambda: Qwen2Config(**SHAPE, **WIDE, num_key_value_heads=4),
    "mistral": lambda: MistralConfig(**SHAPE, **WIDE, num_key_value_heads=2, sliding_window=12),
    "neox": lambda: GPTNeoXConfig(**SHAPE, **WIDE),
    "gemma2": lambda: Gemma2Config(**SHAPE, **WIDE, num_key_value_heads=2, head_dim=16, sliding_window=12, query_pre_attn_scalar=16),
    "phi3": lambda: Phi3Config(**SHAPE, **WIDE, num_key_value_heads=2, pad_token_id=1),
    "falcon": lambda: FalconConfig(**SHAPE, hidden_size=48, num_hidden_layers=2, num_attention_heads=4),
    "lfm2": lambda: Lfm2Config(**SHAPE, **WIDE, num_key_value_heads=2, layer_types=["conv", "full_attention"], pad_token_id=1),
    "mamba2": lambda: Mamba2Config(**SHAPE, hidden_size=48, num_hidden_layers=2, state_size=8, num_heads=6, head_dim=16, n_groups=1),
    "recurrent_gemma": lambda: RecurrentGemmaConfig(
        **SHAPE, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=1,
        attention_window_size=16, lru_width=48,
    ),
    "not runnable": lambda: StableLmConfig(**SHAPE, **WIDE, num_key_value_heads=2),  # a quarter of 12 is no even rotary width
    "longrope": lambda: Phi3Config(
        **SHAPE, **WIDE, num_key_value_heads=2, pad_token_id=1, original_max_position_embeddings=32,
        rope_parameters={
            "rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 6, "long_factor": [4.0] * 6,
            "original_max_position_embeddings": 32,
        },
    ),
    "dynamic rope": lambda: LlamaConfig(
        **SHAPE, **WIDE, num_key_value_heads=2,
        rope_parameters={"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0, "original_max_position_embeddings": 32},
    ),
    "llama4": lambda: Llama4TextConfig(
        **SHAPE, **WIDE, num_key_value_heads=2, head_dim=12, intermediate_size_mlp=80, num_local_experts=2, moe_layers=[],
        interleave_moe_layer_step=99, no_rope_layers=[1, 0], attn_temperature_tuning=False, attention_chunk_size=16, pad_token_id=1,
    ),
    "gpt2": lambda: GPT2Config(**SHAPE, n_embd=48, n_layer=2, n_head=4, n_positions=192),
}
TEXT = "the quick brown fox jumps over the lazy dog; Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich; 漢字かな 😀"


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE, so that one character may take several tokens."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet)
    raw.train_from_iterator([TEXT] * 3, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, bos_token="<s>", eos_token="</s>")
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
        "<s>{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
    )
    return tokenizer


def make_base(directory: Path, kind: str, seed: int = 0) -> None:
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(CONFIGS[kind]()).save_pretrained(directory)
    make_tokenizer().save_pretrained(directory)


def make_adapter(root: Path, name: str, *, rank: int = 8, targets="all-linear", seed: int = 1, rslora=False, **more) -> Path:
    """A stock PEFT adapter with random A and B (not B = 0) under root/adapters/name."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(root / "base")
    settings = {"lora_alpha": more.pop("alpha", 2 * rank), "init_lora_weights": False, **more}
    config = LoraConfig(r=rank, target_modules=targets, use_rslora=rslora, **settings)
    get_peft_model(model, config).save_pretrained(root / "adapters" / name)
    return root / "adapters" / name


@lru_cache(maxsize=32)
def _stock_model(root: Path, adapter: str | None):
    model = AutoModelForCausalLM.from_pretrained(root / "base").eval()
    return model if adapter is None else PeftModel.from_pretrained(model, root / "adapters" / adapter).eval()


@lru_cache(maxsize=4096)
def stock(root: Path, adapter: str | None, prompt: tuple[int, ...], tokens: int) -> list[int]:
    """Greedy output of stock transformers + PEFT, one prompt at a time."""
    ids = torch.tensor([prompt])
    out = _stock_model(root, adapter).generate(
        input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False, pad_token_id=1
    )
    return out[0, len(prompt) :].tolist()


def make_engine(root: Path, device_bytes: int = 64 << 20, host_bytes: int = 0, source=None, **limits) -> TorchEngine:
    base = load_base(root / "base", torch.device("cpu"), torch.float32, None)
    holder = PlanHolder()
    sites = attach(base.model, holder)
    own_weight = partial(base_weight, base.model)
    adapter_limits = Limits(max_rank=64)

    def read(files):
        return read_adapter(files.directory, files.name, files.key, sites, base.dtype, adapter_limits, own_weight)

    tiers = AdapterTiers(source or FolderSource(root / "adapters"), read, torch.device("cpu"), device_bytes, host_bytes)
    return TorchEngine(base, holder, tiers, EngineLimits(**limits))


def make_client(aws: dict, service: str):
    return boto3.client(
        service, endpoint_url=aws["AWS_ENDPOINT_URL"], aws_access_key_id="test", aws_secret_access_key="test",
        region_name="us-east-1",
    )  # fmt: skip
