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
        self.groups: list[tuple[slice | torch.Tensor, dict]] = []  # decode rows, stacked (A^T, B) per path
        self.chunks: list[tuple[slice, dict]] = []  # prompt tokens, one adapter's (A, B) per path

    def add_to(self, path: str, x: torch.Tensor, y: torch.Tensor) -> None:
        """x [tokens, in], y [tokens, out]: y += lora(x), in place."""
        for which, views in self.groups:
            pair = views.get(path)
            if pair is None:
                continue
            a, b = pair
            if type(which) is slice:
                y[which].unsqueeze(1).baddbmm_(torch.bmm(x[which].unsqueeze(1), a), b)
            else:
                y.index_add_(0, which, torch.bmm(torch.bmm(x[which].unsqueeze(1), a), b).squeeze(1))
        for which, views in self.chunks:
            pair = views.get(path)
            if pair is not None:
                a, b = pair
                y[which].addmm_(x[which] @ a.T, b)


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


def _forward(holder: PlanHolder, path: str, module: torch.nn.Module):
    own = module.forward  # a subclass of Linear (Falcon's) may round in another order

    def forward(x: torch.Tensor) -> torch.Tensor:
        y = own(x)
        plan = holder.plan
        if plan is not None:
            plan.add_to(path, x.reshape(-1, x.shape[-1]), y.view(-1, y.shape[-1]))
        return y

    return forward
