"""Loads any local HF causal LM and finds out how it can be run; no list of architectures is looked up.

Three ways, the first that gives the stock model's logits on a short random prompt is taken: packed (continuous batching
through HF's attention interface), cached (one sequence after the other, with HF's own cache), whole (without a cache).
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel

from open_lora.torch_engine import attention
from open_lora.torch_engine.kv_cache import DecodeCache, KvShape, StagedKv
from open_lora.torch_engine.lora_linear import find_sites
from open_lora.torch_engine.step import CURRENT, PromptChunk, Step

log = logging.getLogger("open_lora")
MASKS_WE_KNOW = {"full_attention", "sliding_attention"}  # others stand in `attention_mask`, which the packed way leaves out
PROBE = 12  # tokens
PROBE_CHUNKS = ((0, 5), (5, PROBE - 1), (PROBE - 1, PROBE))


@dataclass
class BaseModel:
    model: PreTrainedModel
    packed: bool
    cached: bool  # HF's cache can be continued in chunks; only asked for where `packed` is false
    kv: KvShape | None  # None when not packed
    max_positions: int
    eos: frozenset[int]
    vocabulary: int
    keeps_logits: bool  # forward() takes logits_to_keep

    @property
    def way(self) -> str:
        return "packed" if self.packed else "cached" if self.cached else "whole"

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.model.parameters()).dtype


def load_base(directory: Path, device: torch.device, dtype: torch.dtype, max_model_tokens: int | None) -> BaseModel:
    """Raises OSError/ValueError when the folder holds no causal LM with safetensors weights, or one that does not run."""
    model = AutoModelForCausalLM.from_pretrained(
        directory, dtype=dtype, local_files_only=True, use_safetensors=True
    )
    model.eval().requires_grad_(False).to(device)
    return prepare(model, max_model_tokens)


def prepare(model: PreTrainedModel, max_model_tokens: int | None) -> BaseModel:
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 2048
    positions = min(positions, _one_rotation(config))
    limit = min(positions, max_model_tokens or positions)
    keeps = "logits_to_keep" in inspect.signature(model.forward).parameters
    eos = model.generation_config.eos_token_id if model.generation_config is not None else None
    if eos is None:
        eos = config.eos_token_id
    stops = frozenset(eos if isinstance(eos, (list, tuple)) else [] if eos is None else [eos])
    base = BaseModel(model, False, False, None, limit, stops, config.vocab_size, keeps)
    _choose_way(base)
    log.info("base loaded: %s, %s, positions=%d", type(model).__name__, base.way, limit)
    return base


@torch.inference_mode()
def _choose_way(base: BaseModel) -> None:
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(0, base.vocabulary, (1, PROBE), generator=generator).to(base.device)
    try:
        expected, every_site_sees_every_token = _stock_logits(base.model, ids)
    except Exception as error:  # whatever an architecture raises: it will raise it on each request, too
        raise ValueError(f"{type(base.model).__name__} does not run: {type(error).__name__}: {error}") from error
    if not torch.isfinite(expected).all():
        raise ValueError(f"{type(base.model).__name__} gives NaN or infinite logits on a random prompt")
    scale = max(1.0, expected.abs().max().item()) * _tolerance(base.dtype)

    def same(way: str, run: Callable[[], torch.Tensor]) -> bool:
        try:
            return (run() - expected).abs().max().item() <= scale  # a NaN is not
        except Exception as error:
            log.warning("%s cannot be run %s (%s)", type(base.model).__name__, way, error)
            return False

    stock = base.model.config._attn_implementation
    if every_site_sees_every_token and _may_be_packed(base.model):
        base.packed = same("packed", lambda: _packed_logits(base, ids, stock))
        CURRENT.step = None
    if not base.packed:
        base.kv = None
        base.model.set_attn_implementation(stock)
        base.cached = same("cached", lambda: _cached_logits(base.model, ids))
    if not (base.packed or base.cached) and _hides_its_cache(base.model, ids):
        raise ValueError(f"{type(base.model).__name__} keeps state in its modules: it cannot serve several requests")


def _hides_its_cache(model: PreTrainedModel, ids: torch.Tensor) -> bool:
    """Asked for a cache, it hands none out: it keeps it in its modules, where requests would meet (RecurrentGemma)."""
    if "use_cache" not in inspect.signature(model.forward).parameters:
        return False
    return not {"past_key_values", "cache_params"} & set(model(input_ids=ids, use_cache=True).keys())


def _one_rotation(config: PreTrainedConfig) -> int:
    """Positions over which the rotary frequencies stay the same: longrope has others for inputs longer than the original
    context, keys in a cache would have to be turned anew. (`dynamic` changes past `max_position_embeddings` only.)"""
    rope = getattr(config, "rope_parameters", None) or {}
    kinds = [rope] if "rope_type" in rope else [kind for kind in rope.values() if isinstance(kind, dict)]
    limits = [kind["original_max_position_embeddings"] for kind in kinds if kind.get("rope_type") == "longrope"]
    if limits:
        log.warning("longrope: the context ends at the original %d tokens, where other frequencies begin", min(limits))
    return min(limits, default=sys.maxsize)


def _may_be_packed(model: PreTrainedModel) -> bool:
    config = model.config.get_text_config()
    masks = set(getattr(config, "layer_types", None) or ())
    return model._supports_attention_backend and masks <= MASKS_WE_KNOW and not getattr(config, "attention_chunk_size", None)


def _tolerance(dtype: torch.dtype) -> float:
    return 1e-4 if dtype in (torch.float32, torch.float64) else 5e-2


def _stock_logits(model: PreTrainedModel, ids: torch.Tensor) -> tuple[torch.Tensor, bool]:
    """The last token's logits over the whole prompt, and whether every linear map that ran saw every token: an expert
    that sees some of them only cannot be packed, rows would meet other rows' adapters."""
    seen: set[int] = set()
    hooks = [
        module.register_forward_pre_hook(lambda _, args: seen.add(args[0].numel() // args[0].shape[-1]))
        for _, module in find_sites(model).values()
    ]
    try:
        logits = model(input_ids=ids, use_cache=False).logits[0, -1].float()
    finally:
        for hook in hooks:
            hook.remove()
    return logits, seen <= {ids.shape[1]}


def _kv_shape(model: PreTrainedModel, ids: torch.Tensor) -> KvShape:
    layers = model(input_ids=ids, use_cache=True).past_key_values.layers
    keys, values = layers[0].keys, layers[0].values
    if any(layer.keys.shape[1] != keys.shape[1] or layer.keys.shape[3] != keys.shape[3] for layer in layers):
        raise ValueError("layers with different key/value shapes")
    return KvShape(len(layers), keys.shape[1], keys.shape[3], values.shape[3], keys.dtype, keys.device)


def _packed_logits(base: BaseModel, ids: torch.Tensor, stock: str) -> torch.Tensor:
    """The last token's logits by the way that serving takes: two chunks, then one decode row."""
    model, kv = base.model, _kv_shape(base.model, ids)
    model.set_attn_implementation(attention.name_for(stock))
    staged, cache = StagedKv(kv, PROBE), DecodeCache(kv, 4, 128)
    for start, end in PROBE_CHUNKS[:-1]:
        CURRENT.step = Step(0, None, 0, cache, [PromptChunk(0, end - start, start, staged)], kv.dtype)
        at = torch.arange(start, end, device=kv.device)[None]
        model(input_ids=ids[:, start:end], position_ids=at, use_cache=False)
    staged.length = PROBE - 1
    cache.enter(0, staged, PROBE)
    at = torch.tensor([PROBE - 1], device=kv.device)
    CURRENT.step = Step(1, at, PROBE, cache, [], kv.dtype)
    base.kv = kv
    return model(input_ids=ids[:, -1:], position_ids=at[None], use_cache=False).logits[0, -1].float()


def _cached_logits(model: PreTrainedModel, ids: torch.Tensor) -> torch.Tensor:
    cache: dict = {}
    for start, end in PROBE_CHUNKS:
        out = model(input_ids=ids[:, start:end], use_cache=True, **cache)
        cache = {"past_key_values": out.past_key_values}
    return out.logits[0, -1].float()
