"""What one forward pass works on: packed tokens, decode rows first, then chunks of prompts.

The step is found through a thread-local, since HF's attention functions take no argument of ours.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import torch

from open_lora.torch_engine.kv_cache import DecodeCache, StagedKv


@dataclass
class PromptChunk:
    """Tokens [start, end) of the packed input are positions [position, position + end - start) of one sequence."""

    start: int
    end: int
    position: int
    kv: StagedKv


@dataclass
class Step:
    decode_rows: int
    positions: torch.Tensor | None  # [decode_rows] position written by this step
    longest: int  # number of key positions that the decode rows look at
    cache: DecodeCache
    chunks: list[PromptChunk]
    dtype: torch.dtype
    _masks: dict = field(default_factory=dict)

    def decode_mask(self, window: int | None) -> torch.Tensor:
        """[decode_rows, 1, 1, longest], 0 where a row may look and -inf elsewhere."""
        mask = self._masks.get(window)
        if mask is None:
            at = torch.arange(self.longest, device=self.positions.device)
            here = self.positions[:, None]
            seen = at[None] <= here
            if window is not None:
                seen &= at[None] > here - window
            mask = self._masks[window] = _additive(seen, self.dtype)[:, None, None]
        return mask

    def chunk_mask(self, chunk: PromptChunk, window: int | None) -> torch.Tensor:
        """[1, 1, chunk, keys]: causal, and within the sliding window where the layer has one."""
        key = (chunk.start, window)
        mask = self._masks.get(key)
        if mask is None:
            last = chunk.position + chunk.end - chunk.start
            at = torch.arange(last, device=chunk.kv.device)
            here = at[chunk.position :, None]
            seen = at[None] <= here
            if window is not None:
                seen &= at[None] > here - window
            mask = self._masks[key] = _additive(seen, self.dtype)[None, None]
        return mask


def _additive(seen: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, float("-inf"))


class _Current(threading.local):
    step: Step | None = None


CURRENT = _Current()
