"""Reads a PEFT LoRA adapter folder without PEFT: config, tensors, digest; refuses what the method does not cover."""

import hashlib
import json
import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file

from . import errors

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_KEY = re.compile(r"^(?:base_model\.model\.)?(?P<module>.+)\.lora_(?P<side>[AB])(?:\.[^.]+)?\.weight$")
# Each of these changes the function that the adapter computes in a way that A and B gradients do not describe.
_REFUSED_FLAGS = ("use_dora", "lora_bias", "use_qalora", "modules_to_save", "layer_replication", "megatron_config",
                  "trainable_token_indices", "target_parameters", "alora_invocation_tokens", "arrow_config", "use_bdlora",
                  "kasa_config", "monteclora_config")
_BASE_CHANGING_INITS = ("pissa", "olora", "corda", "loftq", "lora_ga")
DEFAULT_ALPHA = 8  # of PEFT's LoraConfig


@dataclass(frozen=True)
class LoraModule:
    """One adapted linear: A is (rank, in), B is (out, rank), float32; y += scale * B A x."""

    name: str
    a: torch.Tensor
    b: torch.Tensor
    scale: float


@dataclass(frozen=True)
class Adapter:
    """base_copies: weights of the base that PEFT stores beside an adapter of the output layer, by parameter name; the
    adapter is only what it seems if the base holds the same."""

    modules: tuple[LoraModule, ...]
    digest: str
    base_copies: dict[str, torch.Tensor] = field(default_factory=dict)


def _refuse_unsupported(config: dict) -> None:
    if config.get("peft_type") != "LORA":
        raise errors.adapter_unsupported(f"peft_type is {config.get('peft_type')!r}, only LORA is supported")
    if config.get("bias", "none") != "none":
        raise errors.adapter_unsupported(f"bias is {config['bias']!r}: trained biases are not supported, train with bias='none'")
    for flag in _REFUSED_FLAGS:
        if config.get(flag):
            raise errors.adapter_unsupported(f"{flag} is set: not supported, train a stock LoRA without it")
    init = str(config.get("init_lora_weights", "")).lower()
    if init.startswith(_BASE_CHANGING_INITS):
        raise errors.adapter_unsupported(f"init_lora_weights {init!r} changes the base weights")
    if init == "mica":
        raise errors.adapter_unsupported("init_lora_weights 'mica' trains A alone: B has no gradient to speak of")


def _alpha(config: dict, module: str) -> float:
    """PEFT's rule: a key of alpha_pattern matches a module when it equals the end of its name, at a dot."""
    try:
        patterns = (config.get("alpha_pattern") or {}).items()
        found = next((value for key, value in patterns if re.match(rf"(.*\.)?({key})$", module)), None)
    except (AttributeError, re.error) as odd:
        raise errors.adapter_invalid(f"alpha_pattern: {odd}") from None
    alpha = config.get("lora_alpha", DEFAULT_ALPHA) if found is None else found
    if not isinstance(alpha, (int, float)):
        raise errors.adapter_invalid(f"lora_alpha of {module!r} is no number")
    return alpha


def _semantic_config(config: dict) -> bytes:
    kept = {k: config.get(k) for k in ("peft_type", "r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern")}
    return json.dumps(kept, sort_keys=True).encode()


def _config(folder: Path) -> dict:
    try:
        config = json.loads((Path(folder) / CONFIG).read_bytes())
    except OSError as missing:
        raise errors.adapter_invalid(f"{CONFIG} in the adapter folder: {missing.strerror}") from None
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise errors.adapter_invalid(f"{CONFIG} is not a JSON object")
    return config


def adapter_digest(folder: Path) -> str:
    """sha256 over the weights file and the config fields that change the computed function (not the target list,
    which PEFT writes in several equivalent ways)."""
    config = _config(folder)
    try:
        weights = (Path(folder) / WEIGHTS).read_bytes()
    except OSError as missing:
        raise errors.adapter_invalid(f"{WEIGHTS} in the adapter folder: {missing.strerror}") from None
    return hashlib.sha256(hashlib.sha256(weights).digest() + hashlib.sha256(_semantic_config(config)).digest()).hexdigest()


def _group(tensors: dict[str, torch.Tensor]) -> tuple[dict[str, dict[str, torch.Tensor]], dict[str, torch.Tensor]]:
    """({module: {"A", "B"}}, copies of base weights)."""
    grouped: dict[str, dict[str, torch.Tensor]] = {}
    copies: dict[str, torch.Tensor] = {}
    for key, tensor in tensors.items():
        match = _KEY.match(key)
        if not match and "lora_" not in key and key.endswith((".base_layer.weight", "embed_tokens.weight", "lm_head.weight")):
            copies[key.removeprefix("base_model.model.").replace(".base_layer.", ".")] = tensor
            continue
        if not match:
            raise errors.adapter_unsupported(f"tensor {key!r} is not a LoRA A or B weight")
        if tensor.ndim != 2:
            raise errors.adapter_unsupported(f"tensor {key!r} has {tensor.ndim} dimensions, only linears are supported")
        if not torch.isfinite(tensor).all():
            raise errors.adapter_invalid(f"tensor {key!r} holds a number that is not finite")
        grouped.setdefault(match["module"], {})[match["side"]] = tensor.float()
    return grouped, copies


def read_adapter(folder: Path) -> Adapter:
    """Raises adapter_invalid (damaged) or adapter_unsupported (a kind that this method does not cover)."""
    folder = Path(folder)
    digest, config = adapter_digest(folder), _config(folder)
    _refuse_unsupported(config)
    try:
        tensors = load_file(folder / WEIGHTS)
    except Exception as broken:
        raise errors.adapter_invalid(f"{WEIGHTS} cannot be read: {broken}") from None
    modules, (grouped, copies) = [], _group(tensors)
    for name, sides in sorted(grouped.items()):
        if set(sides) != {"A", "B"} or sides["A"].shape[0] != sides["B"].shape[1]:
            raise errors.adapter_invalid(f"module {name!r} lacks A or B, or their ranks differ")
        rank = sides["A"].shape[0]
        scale = _alpha(config, name) / (math.sqrt(rank) if config.get("use_rslora") else rank)
        modules.append(LoraModule(name, sides["A"], sides["B"], float(scale)))
    if not modules:
        raise errors.adapter_invalid("the adapter has no LoRA weights")
    return Adapter(tuple(modules), digest, copies)
