"""LoRA on a base model: which modules, and the adapter folder as it is published."""

import json
import math
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from fine_tune.job import Hyperparameters
from fine_tune.refusal import Refusal

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def linear_names(model: PreTrainedModel) -> list[str]:
    """Last parts of the names of all linear layers except the output layer, sorted ("q_proj", ...)."""
    head = model.get_output_embeddings()
    kinds = (torch.nn.Linear, Conv1D)
    return sorted({name.split(".")[-1] for name, module in model.named_modules()
                   if isinstance(module, kinds) and module is not head})


def target_modules(model: PreTrainedModel, asked: str | tuple[str, ...]) -> list[str]:
    """Names that LoraConfig matches by their ending. PEFT would write `all-linear` out as full module paths."""
    known = linear_names(model)
    if asked == "all-linear":
        return known
    unknown = sorted(set(asked) - set(known))
    if unknown:
        raise Refusal("bad-job", f"hyperparameters.targetModules: {', '.join(unknown)} not in this base; it has {', '.join(known)}")
    return sorted(set(asked))


def add_adapter(model: PreTrainedModel, chosen: Hyperparameters) -> PeftModel:
    """A fresh adapter; its first weights depend on the seed alone."""
    torch.manual_seed(chosen.seed)
    names = target_modules(model, chosen.targetModules)
    conv = any(isinstance(m, Conv1D) and n.split(".")[-1] in names for n, m in model.named_modules())
    return get_peft_model(model, LoraConfig(
        r=chosen.rank, lora_alpha=chosen.alpha, lora_dropout=chosen.dropout, target_modules=names,
        bias="none", task_type="CAUSAL_LM", fan_in_fan_out=conv))


def write_adapter(model: PeftModel, folder: Path, base_id: str) -> None:
    """adapter_config.json and adapter_model.safetensors, and nothing else; no path of this machine stays in them."""
    model.save_pretrained(folder, safe_serialization=True)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    config.update(base_model_name_or_path=base_id, revision=None, inference_mode=True,
                  target_modules=sorted({name.split(".")[-1] for name in config["target_modules"]}))
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    tensors = {name: tensor.to(torch.float32).contiguous() for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file(dict(sorted(tensors.items())), folder / WEIGHTS, metadata={"format": "pt"})
    for other in folder.iterdir():
        if other.name not in (WEIGHTS, CONFIG):
            other.unlink()


def check_adapter(folder: Path) -> int:
    """Number of trained weights. Refused: anything but LoRA pairs, a number that is not finite, an adapter of zeros."""
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    if config.get("peft_type") != "LORA" or config.get("modules_to_save"):
        raise Refusal("bad-adapter", "only LoRA adapters without modules_to_save are published")
    try:
        tensors = load_file(folder / WEIGHTS)
    except (SafetensorError, OSError) as error:
        raise Refusal("bad-adapter", f"{WEIGHTS} cannot be read: {error}") from None
    sides: dict[str, dict[str, torch.Size]] = {}
    for name, tensor in tensors.items():
        module, _, side = name.removesuffix(".weight").rpartition(".lora_")
        if side not in ("A", "B") or tensor.dim() != 2:
            raise Refusal("bad-adapter", f"{name} is not a LoRA matrix")
        if not torch.isfinite(tensor).all():
            raise Refusal("diverged", f"{name} holds numbers that are not finite: lower the learning rate")
        sides.setdefault(module, {})[side] = tensor.shape
    if not sides or any(set(pair) != {"A", "B"} or pair["A"][0] != pair["B"][1] for pair in sides.values()):
        raise Refusal("bad-adapter", "a module lacks A or B, or their ranks differ")
    if not any(tensor.any() for name, tensor in tensors.items() if ".lora_B." in name):
        raise Refusal("bad-adapter", "all B matrices are zero: nothing was learned")
    return sum(math.prod(tensor.shape) for tensor in tensors.values())
