"""`adapter_config.json` of stock PEFT: what we serve exactly, and what we refuse by name.

Every field of PEFT 0.21's LoraConfig that changes the forward pass is either honoured or refused; a field that this
version does not know is refused unless it is empty, so that a newer variant is never served as something else.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import regex

from open_lora.refusals import Refusal

# do not change the result of inference
HARMLESS = {
    "peft_type", "task_type", "inference_mode", "base_model_name_or_path", "revision", "auto_mapping", "peft_version",
    "r", "lora_alpha", "lora_dropout", "target_modules", "exclude_modules", "fan_in_fan_out", "use_rslora",
    "rank_pattern", "alpha_pattern", "layers_to_transform", "layers_pattern", "megatron_config", "megatron_core",
    "runtime_config", "eva_config", "init_lora_weights", "bias", "ensure_weight_tying", "qalora_group_size",
    "loftq_config", "corda_config", "lora_ga_config",
}  # fmt: skip
# these initialisations change the base weights, so the adapter alone does not say what the model answers
BASE_CHANGING_INIT = ("pissa", "olora", "corda", "loftq", "lora_ga")
LARGEST = 1e30  # of a number in a config
# an expression can be made to fill the memory when it is compiled ({99999999}) or to search for years: nothing that repeats
# by number, and seconds that all patterns of an adapter may take over all modules
PATTERN = regex.compile(r"[\w.|^$()\\*+?\[\]-]{1,1000}")
PATTERN_SECONDS = 1.0
Patterns = list[tuple[regex.Pattern, float]]


@dataclass
class LoraSettings:
    rank: int
    alpha: float
    use_rslora: bool
    rank_pattern: Patterns
    alpha_pattern: Patterns
    seconds_left: float = PATTERN_SECONDS

    def scaling(self, path: str, rank: int) -> float:
        """alpha / r, or alpha / sqrt(r) with rsLoRA (arXiv:2312.03732); alpha may be set per module."""
        alpha = self._by_pattern(self.alpha_pattern, path, self.alpha)
        return alpha / math.sqrt(rank) if self.use_rslora else alpha / rank

    def rank_of(self, path: str) -> int:
        return int(self._by_pattern(self.rank_pattern, path, self.rank))

    def _by_pattern(self, patterns: Patterns, path: str, default: float) -> float:
        """PEFT's rule (`get_pattern_key`): a pattern is a regular expression that matches the end of the module's path."""
        started = time.perf_counter()
        try:
            return next((value for pattern, value in patterns if pattern.match(path, timeout=self.seconds_left)), default)
        except TimeoutError:
            raise Refusal("adapter_unsupported", "rank_pattern or alpha_pattern take too long", param="rank_pattern") from None
        finally:
            self.seconds_left = max(1e-3, self.seconds_left - (time.perf_counter() - started))


def _number(config: dict, field: str, default: float) -> float:
    value = config.get(field, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < LARGEST:  # a NaN is not, either
        raise Refusal("adapter_corrupt", f"adapter_config.json: {field} is not a number", param=field)
    return value


def check_config(config: object, max_rank: int) -> LoraSettings:
    """The settings of an adapter, or a Refusal that names the field."""
    if not isinstance(config, dict):
        raise Refusal("adapter_corrupt", "adapter_config.json is not an object")
    if config.get("peft_type") != "LORA":
        raise Refusal("adapter_unsupported", f"peft_type {config.get('peft_type')!r} is not LORA", param="peft_type")
    if config.get("bias", "none") != "none":
        raise Refusal("adapter_unsupported", "adapters that train biases are not served", param="bias")
    init = config.get("init_lora_weights", True)
    if isinstance(init, str) and init.lower().startswith(BASE_CHANGING_INIT):
        raise Refusal("adapter_unsupported", f"initialisation {init!r} changes the base", param="init_lora_weights")
    for field, value in config.items():
        if field not in HARMLESS and value not in (None, False, [], {}):
            raise Refusal("adapter_unsupported", f"adapter_config.json: {field} is not supported", param=field)
    rank = int(_number(config, "r", 8))
    patterns = [config.get(field) or {} for field in ("rank_pattern", "alpha_pattern")]
    if not all(isinstance(pattern, dict) for pattern in patterns):
        raise Refusal("adapter_corrupt", "rank_pattern and alpha_pattern must be objects", param="rank_pattern")
    ranks, alphas = (_compiled(pattern) for pattern in patterns)
    if any(value < 1 for value in (rank, *(value for _, value in ranks))):
        raise Refusal("adapter_corrupt", "rank must be at least 1", param="r")
    if any(value > max_rank for value in (rank, *(value for _, value in ranks))):
        raise Refusal("adapter_rank_too_large", f"rank over the limit of {max_rank}", param="r")
    return LoraSettings(rank, _number(config, "lora_alpha", 8), bool(config.get("use_rslora")), ranks, alphas)


def _compiled(patterns: dict) -> Patterns:
    for key in patterns:
        if not PATTERN.fullmatch(key):
            raise Refusal("adapter_unsupported", f"{key[:80]!r} is more than the pattern of a module's name", param="rank_pattern")
    try:
        return [(regex.compile(rf"(.*\.)?({key})$"), _number(patterns, key, 0)) for key in patterns]
    except (regex.error, RecursionError, OverflowError):
        raise Refusal("adapter_corrupt", "rank_pattern or alpha_pattern hold what is no pattern", param="rank_pattern") from None
