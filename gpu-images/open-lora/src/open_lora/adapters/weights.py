"""An adapter folder -> one flat vector, or a Refusal. Nothing of it is executed: safetensors and JSON only.

The scaling is folded into B and ranks are padded with zeros up to the bucket, so that
y += (x A) B is exactly PEFT's `lora_B(lora_A(x)) * scaling`.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError

from open_lora.adapters.config_check import LoraSettings, check_config
from open_lora.adapters.layout import AdapterLayout, Site, layout_for, rank_bucket
from open_lora.adapters.weights_file import NotFloats, WeightsFile
from open_lora.refusals import Refusal

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
PICKLES = {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib"}
PREFIX = "base_model.model."


@dataclass
class HostAdapter:
    """An adapter in host memory. `flat` is [layout.length] in the engine's dtype."""

    name: str
    key: str
    layout: AdapterLayout
    flat: torch.Tensor

    @property
    def bytes(self) -> int:
        return self.flat.numel() * self.flat.element_size()


@dataclass(frozen=True)
class Limits:
    max_rank: int = 128
    max_bytes: int = 2 << 30


# path of a base parameter -> its tensor, or None when the base has no such parameter
BaseWeight = Callable[[str], torch.Tensor | None]


def read_adapter(
    directory: Path,
    name: str,
    key: str,
    sites: dict[str, Site],
    dtype: torch.dtype,
    limits: Limits,
    base_weight: BaseWeight = lambda path: None,
) -> HostAdapter:
    """Raises Refusal adapter_{pickle,corrupt,too_large,rank_too_large,unsupported,wrong_base,not_finite}."""
    weights = check_folder(directory, limits)
    try:
        config = json.loads((directory / CONFIG).read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise Refusal("adapter_corrupt", f"{CONFIG} cannot be read: {type(error).__name__}") from None
    settings = check_config(config, limits.max_rank)
    try:
        return _assemble(WeightsFile(weights), name, key, sites, settings, dtype, base_weight)
    except NotFloats as error:
        raise Refusal("adapter_corrupt", str(error), param=error.key) from None
    except (SafetensorError, ValueError, RuntimeError, OSError) as error:
        raise Refusal("adapter_corrupt", f"{WEIGHTS} cannot be read: {type(error).__name__}") from None


def check_folder(directory: Path, limits: Limits) -> Path:
    """The weights' path, after the folder was seen to hold no pickle and nothing oversize."""
    files = [path for path in directory.iterdir() if path.is_file()]
    for path in files:
        if path.suffix.lower() in PICKLES:
            raise Refusal("adapter_pickle", f"the adapter's folder holds {path.name}; only safetensors is served")
    weights = directory / WEIGHTS
    if not weights.is_file():
        raise Refusal("adapter_corrupt", f"{WEIGHTS} is missing")
    if weights.stat().st_size > limits.max_bytes:
        raise Refusal("adapter_too_large", f"{WEIGHTS} is larger than {limits.max_bytes} bytes")
    return weights


def _assemble(file: WeightsFile, name: str, key: str, sites: dict[str, Site], settings: LoraSettings, dtype, base_weight: BaseWeight) -> HostAdapter:
    pairs = _pair_up(file, sites, base_weight)
    ranks = {}
    for path, (a_key, b_key) in pairs.items():
        ranks[path] = _check_shapes(file, a_key, b_key, sites[path], settings.rank_of(path))
    bucket = rank_bucket(max(ranks.values()))
    if bucket is None:
        raise Refusal("adapter_rank_too_large", f"no pool for rank {max(ranks.values())}", param="r")
    layout = layout_for(bucket, frozenset(sites[path] for path in pairs))
    flat = _pages(layout.length, dtype)
    for path, (a, b) in layout.views(flat).items():
        a_key, b_key = pairs[path]
        rank = ranks[path]
        a[:, :rank].copy_(file.tensor(a_key).T)
        torch.mul(file.tensor(b_key).to(torch.float32).T, settings.scaling(path, rank), out=b[:rank])
    if not flat.sum(dtype=torch.float64).isfinite():  # as isfinite of each, without copies: 32-bit floats cannot exceed it
        raise Refusal("adapter_not_finite", "the adapter holds NaN or infinite weights")
    return HostAdapter(name, key, layout, flat)


def _pages(length: int, dtype: torch.dtype) -> torch.Tensor:
    """Zeros in memory pages of their own, given back to the system with the last reference. From the heap, adapters
    that come and go by the thousand leave holes in it that other objects settle in, and it grows (docs/decisions/053)."""
    size = max(1, length) * torch.empty((), dtype=dtype).element_size()
    return torch.frombuffer(mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), dtype=dtype)[:length]


def _pair_up(file: WeightsFile, sites: dict[str, Site], base_weight: BaseWeight) -> dict[str, tuple[str, str]]:
    halves: dict[str, dict[str, str]] = {}
    for key in file.keys():
        path, _, half = key.removeprefix(PREFIX).partition(".lora_")
        if not half and _is_base_copy(file, key, base_weight):
            continue
        if not key.startswith(PREFIX) or half not in ("A.weight", "B.weight"):
            raise Refusal("adapter_unsupported", f"the weights hold {key[:120]!r}, which is not a LoRA pair", param=key)
        halves.setdefault(path, {})[half[0]] = key
    if not halves:
        raise Refusal("adapter_corrupt", f"{WEIGHTS} holds no tensors")
    for path, pair in halves.items():
        if path not in sites:
            raise Refusal("adapter_wrong_base", f"the base has no linear module {path[:120]!r}", param=path)
        if set(pair) != {"A", "B"}:
            raise Refusal("adapter_corrupt", f"{path} lacks one of lora_A, lora_B", param=path)
    return {path: (pair["A"], pair["B"]) for path, pair in halves.items()}


def _is_base_copy(file: WeightsFile, key: str, base_weight: BaseWeight) -> bool:
    """PEFT saves the embedding layers, too, when one is a target: harmless when they are the base's own."""
    own = base_weight(key.removeprefix(PREFIX).replace(".base_layer.", "."))
    if own is None or list(own.shape) != file.shape(key):
        return False
    return torch.equal(file.tensor(key).to(own.dtype), own.cpu())


def _check_shapes(file: WeightsFile, a_key: str, b_key: str, site: Site, declared: int) -> int:
    a, b = (file.shape(key) for key in (a_key, b_key))
    if len(a) != 2 or len(b) != 2 or a[0] != b[1]:
        raise Refusal("adapter_corrupt", f"{a_key}: shapes {a} and {b} are no LoRA pair", param=a_key)
    if a[1] != site.inputs or b[0] != site.outputs:
        expected = f"[r, {site.inputs}] and [{site.outputs}, r]"
        raise Refusal("adapter_wrong_base", f"{site.path}: shapes {a} and {b}, the base needs {expected}", param=a_key)
    if a[0] != declared:
        raise Refusal("adapter_corrupt", f"{site.path}: rank {a[0]}, adapter_config.json says {declared}", param="r")
    return a[0]
