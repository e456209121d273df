"""Loads any local HF causal LM and finds out how it can be run: packed, or one sequence at a time.

Packed running needs HF's attention interface; whether it gives the stock model's logits is tried at load, on a short
random prompt, rather than looked up in a list of architectures.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from open_lora.torch_engine import attention
from open_lora.torch_engine.kv_cache import DecodeCache, KvShape, StagedKv
from open_lora.torch_engine.step import CURRENT, PromptChunk, Step

log = logging.getLogger("open_lora")
ROPE_THAT_LOOKS_AT_THE_WHOLE_INPUT = {"dynamic", "longrope"}


@dataclass
class BaseModel:
    model: PreTrainedModel
    packed: bool
    kv: KvShape | None  # None when not packed
    max_positions: int
    eos: frozenset[int]
    vocabulary: int
    keeps_logits: bool  # forward() takes logits_to_keep

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype


def load_base(directory: Path, device: torch.device, dtype: torch.dtype, max_model_tokens: int | None) -> BaseModel:
    """Raises OSError/ValueError from transformers when the folder holds no causal LM with safetensors weights."""
    model = AutoModelForCausalLM.from_pretrained(
        directory, dtype=dtype, local_files_only=True, use_safetensors=True
    )
    model.eval().requires_grad_(False).to(device)
    return prepare(model, max_model_tokens)



def prepare(model: PreTrainedModel, max_model_tokens: int | None) -> BaseModel:
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 2048
    limit = min(positions, max_model_tokens or positions)
    keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
    eos = model.generation_config.eos_token_id if model.generation_config is not None else None
    if eos is None:
        eos = config.eos_token_id
    stops = frozenset(eos if isinstance(eos, (list, tuple)) else [] if eos is None else [eos])
    base = BaseModel(model, False, None, limit, stops, config.vocab_size, keeps)
    _try_packed(base)
    log.info("base loaded: %s, packed=%s, positions=%d", type(model).__name__, base.packed, limit)
    return base


def _try_packed(base: BaseModel) -> None:
    model = base.model
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    kinds = {rope.get("rope_type")} if "rope_type" in rope else {v.get("rope_type") for v in rope.values() if isinstance(v, dict)}
    if not model._supports_attention_backend or kinds & ROPE_THAT_LOOKS_AT_THE_WHOLE_INPUT:
        return
    stock = model.config._attn_implementation
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(0, base.vocabulary, (1, 12), generator=generator).to(base.device)
    try:
        with torch.inference_mode():
            expected, kv = _stock_logits(model, ids)
            model.set_attn_implementation(attention.NAME)
            base.kv = kv
            got = _packed_logits(model, ids, kv)
        scale = max(1.0, expected.abs().max().item())
        close = torch.isfinite(got).all() and (got - expected).abs().max().item() <= scale * _tolerance(base.dtype)
    except Exception as error:  # an architecture that we do not know: run it the slow, stock way
        log.warning("packed attention is not possible here (%s)", error)
        close = False
    finally:
        CURRENT.step = None
    if close:
        base.packed = True
    else:
        base.kv = None
        model.set_attn_implementation(stock)


def _tolerance(dtype: torch.dtype) -> float:
    return 1e-4 if dtype in (torch.float32, torch.float64) else 5e-2


def _stock_logits(model: PreTrainedModel, ids: torch.Tensor) -> tuple[torch.Tensor, KvShape]:
    out = model(input_ids=ids, use_cache=True)
    layers = out.past_key_values.layers
    keys, values = layers[0].keys, layers[0].values
    if any(layer.keys.shape[1] != keys.shape[1] or layer.keys.shape[3] != keys.shape[3] for layer in layers):
        raise ValueError("layers with different key/value shapes")
    shape = KvShape(len(layers), keys.shape[1], keys.shape[3], values.shape[3], keys.dtype, keys.device)
    return out.logits[0, -1].float(), shape


def _packed_logits(model: PreTrainedModel, ids: torch.Tensor, kv: KvShape) -> torch.Tensor:
    """The last token's logits by the way that serving takes: two chunks, then one decode row."""
    count = ids.shape[1]
    staged, cache = StagedKv(kv, count), DecodeCache(kv, 4, 128)
    for start, end in ((0, 5), (5, count - 1)):
        CURRENT.step = Step(0, None, 0, cache, [PromptChunk(0, end - start, start, staged)], kv.dtype)
        at = torch.arange(start, end, device=kv.device)[None]
        model(input_ids=ids[:, start:end], position_ids=at, use_cache=False)
    staged.length = count - 1
    cache.enter(0, staged, count)
    at = torch.tensor([count - 1], device=kv.device)
    CURRENT.step = Step(1, at, count, cache, [], kv.dtype)
    return model(input_ids=ids[:, -1:], position_ids=at[None], use_cache=False).logits[0, -1].float()
