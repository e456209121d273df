"""Batched LoRA inside the base model's own linear modules (nn.Linear, and GPT-2's Conv1D).

The modules keep their weights; only their `forward` is replaced. Without a plan they are the base model.
"""

from __future__ import annotations

import torch
from transformers.pytorch_utils import Conv1D

from open_lora.adapters.layout import Site


class LoraPlan:
    """Which adapter serves which of the packed tokens of this step."""

    def __init__(self) -> None:
        self.groups: list[tuple[slice | torch.Tensor, dict]] = []  # decode rows, stacked (A, B) per path
        self.chunks: list[tuple[slice, dict]] = []  # prompt tokens, one adapter's (A, B) per path

    def add_to(self, path: str, x: torch.Tensor, y: torch.Tensor) -> None:
        """x [tokens, 1, in], y [tokens, 1, out]: y += lora(x), in place."""
        for which, views in self.groups:
            pair = views.get(path)
            if pair is None:
                continue
            a, b = pair
            if type(which) is slice:
                y[which].baddbmm_(torch.bmm(x[which], a), b)
            else:
                y.index_add_(0, which, torch.bmm(torch.bmm(x[which], a), b))
        for which, views in self.chunks:
            pair = views.get(path)
            if pair is not None:
                a, b = pair
                y[which, 0].addmm_(x[which, 0] @ a, b)


class PlanHolder:
    plan: LoraPlan | None = None


def find_sites(model: torch.nn.Module) -> dict[str, tuple[Site, torch.nn.Module]]:
    """Every linear module of the model that an adapter may target."""
    sites = {}
    for path, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):  # subclasses too (Falcon has one), as PEFT takes them
            sites[path] = (Site(path, module.in_features, module.out_features), module)
        elif isinstance(module, Conv1D):
            sites[path] = (Site(path, module.weight.shape[0], module.weight.shape[1]), module)
    return sites


def attach(model: torch.nn.Module, holder: PlanHolder) -> dict[str, Site]:
    """Replaces the linear modules' forward; returns path -> Site."""
    sites = {}
    for path, (site, module) in find_sites(model).items():
        module.forward = _forward(holder, path, module)
        sites[path] = site
    return sites


def base_weight(model: torch.nn.Module, path: str) -> torch.Tensor | None:
    return dict(model.named_parameters(remove_duplicate=False)).get(path)


def _by_token(x: torch.Tensor) -> torch.Tensor:
    """[..., width] -> [tokens, 1, width]; a view where it can be, and always of what a linear map has just made."""
    return x.transpose(0, 1) if x.dim() == 3 and x.shape[0] == 1 else x.reshape(-1, 1, x.shape[-1])


def _forward(holder: PlanHolder, path: str, module: torch.nn.Module):
    own = module.forward  # a subclass of Linear (Falcon's) may round in another order

    def forward(x: torch.Tensor) -> torch.Tensor:
        y = own(x)
        plan = holder.plan
        if plan is not None:
            plan.add_to(path, _by_token(x), _by_token(y))
        return y

    return forward
