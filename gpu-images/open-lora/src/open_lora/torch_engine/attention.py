"""The attention function that we register with transformers: packed queries against the slotted cache.

HF models call it after the position embedding, so any causal LM that uses HF's attention interface works unchanged.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from transformers import AttentionInterface

from open_lora.torch_engine.step import CURRENT, PromptChunk, Step

NAME, NAME_WITHOUT_SOFTCAP = "open_lora", "open_lora_without_softcap"


def name_for(stock: str) -> str:
    """The packed counterpart of a stock implementation: HF's SDPA leaves the soft cap out (Gemma 2), eager has it."""
    return NAME_WITHOUT_SOFTCAP if stock == "sdpa" else NAME


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """query [1, heads, tokens, width], key/value [1, kv heads, tokens, width] -> [1, tokens, heads, width]."""
    step = CURRENT.step
    layer = module.layer_idx
    heads, tokens = query.shape[1], query.shape[2]
    out = query.new_empty(tokens, heads, value.shape[3])
    if step.decode_rows:
        out[: step.decode_rows] = _decode(step, layer, query, key, value, scaling, sliding_window, softcap)
    for chunk in step.chunks:
        out[chunk.start : chunk.end] = _prompt(step, chunk, layer, query, key, value, scaling, sliding_window, softcap)
    return out[None], None


def _decode(step: Step, layer: int, query, key, value, scaling, window, softcap) -> torch.Tensor:
    rows, cache = step.decode_rows, step.cache
    keys, values = cache.keys[layer], cache.values[layer]
    at = cache.row_index[:rows]
    keys[at, :, step.positions] = key[0, :, :rows].transpose(0, 1)
    values[at, :, step.positions] = value[0, :, :rows].transpose(0, 1)
    keys, values = keys[:rows, :, : step.longest], values[:rows, :, : step.longest]
    groups = query.shape[1] // keys.shape[1]
    # the query heads that share a key head are queries of one attention: no repeated keys
    grouped = query[0, :, :rows].transpose(0, 1).reshape(rows, keys.shape[1], groups, query.shape[3])
    out = _attend(grouped, keys, values, step.decode_mask(window), scaling, softcap)
    return out.reshape(rows, query.shape[1], -1)


def _prompt(step: Step, chunk: PromptChunk, layer: int, query, key, value, scaling, window, softcap) -> torch.Tensor:
    here = slice(chunk.start, chunk.end)
    last = chunk.position + chunk.end - chunk.start
    keys, values = chunk.kv.keys[layer], chunk.kv.values[layer]
    keys[:, chunk.position : last] = key[0, :, here]
    values[:, chunk.position : last] = value[0, :, here]
    keys, values = keys[None, :, :last], values[None, :, :last]
    groups = query.shape[1] // keys.shape[1]
    if groups > 1:
        keys, values = (tensor.repeat_interleave(groups, dim=1) for tensor in (keys, values))
    queries = query[:, :, here]
    if chunk.position == 0 and window is None and softcap is None:
        out = F.scaled_dot_product_attention(queries, keys, values, is_causal=True, scale=scaling)
    else:
        out = _attend(queries, keys, values, step.chunk_mask(chunk, window), scaling, softcap)
    return out[0].transpose(0, 1)


def _attend(queries, keys, values, mask, scaling, softcap) -> torch.Tensor:
    if softcap is None:
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=scaling)
    scores = queries @ keys.transpose(2, 3) * (scaling if scaling is not None else queries.shape[-1] ** -0.5)
    scores = torch.tanh(scores / softcap) * softcap + mask
    return scores.softmax(-1, dtype=torch.float32).to(values.dtype) @ values


def _without_softcap(*args, softcap: float | None = None, **more) -> tuple[torch.Tensor, None]:
    return packed_attention(*args, **more)


AttentionInterface.register(NAME, packed_attention)
AttentionInterface.register(NAME_WITHOUT_SOFTCAP, _without_softcap)
