"""A safetensors file, tensor by tensor, in place.

safetensors checks the file. Its own `get_tensor` (0.6 to 0.8) leaves two integers behind for each tensor, the bounds that
PyO3's `PySlice::new` never gives back. For an adapter of 448 tensors that is 28 KB: a server that loads adapters all day would
grow without end (docs/decisions/053).
"""

from __future__ import annotations

import json
import mmap
import struct
from math import prod
from pathlib import Path

import torch
from safetensors import safe_open

FLOATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64}


class NotFloats(ValueError):
    def __init__(self, key: str, dtype: str):
        super().__init__(f"{key} has dtype {dtype}")
        self.key = key


class WeightsFile:
    """Raises SafetensorError, OSError. The layout: huggingface.co/docs/safetensors, "Format"."""

    def __init__(self, path: Path):
        with safe_open(path, framework="np"):  # bounds, overlaps, dtypes and sizes are right, or it raises
            pass
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            self._header: dict[str, dict] = json.loads(file.read(length))
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)  # writable, or torch warns
        self._header.pop("__metadata__", None)
        self._start = 8 + length

    def keys(self) -> list[str]:
        return list(self._header)

    def shape(self, key: str) -> list[int]:
        return self._header[key]["shape"]

    def tensor(self, key: str) -> torch.Tensor:
        """Valid as long as it is held, whatever becomes of this object. Raises NotFloats."""
        entry = self._header[key]
        dtype = FLOATS.get(entry["dtype"])
        if dtype is None:
            raise NotFloats(key, entry["dtype"])
        offset = self._start + entry["data_offsets"][0]
        return torch.frombuffer(self._data, dtype=dtype, count=prod(entry["shape"]), offset=offset).view(entry["shape"])
