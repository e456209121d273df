"""The probe of a fit where memory allows: B A lies in the base's weights while a checkpoint is visited, so a pass costs
what the base alone costs and the gradients of A and B (a tenth of a training step less: docs/decisions/035)."""

import torch

from .adapter import Adapter
from .probe import LoraProbe
from .settings import Settings


def fitting_probe(model: torch.nn.Module, adapter: Adapter, settings: Settings) -> LoraProbe:
    """A MergedProbe for float32 linears that nothing else in the model uses (in bfloat16 a sum with B A would lose most of
    it; a tied weight would change elsewhere too) and whose second copy fits cache_bytes; else a LoraProbe."""
    named = dict(model.named_modules())
    linears = [named.get(module.name) for module in adapter.modules]
    if not all(type(linear) is torch.nn.Linear and linear.weight.dtype == torch.float32 for linear in linears):
        return LoraProbe(model, adapter)
    holders = [id(parameter) for _, parameter in model.named_parameters(remove_duplicate=False)]
    alone = all(holders.count(id(linear.weight)) == 1 for linear in linears)
    fits = sum(linear.weight.nbytes for linear in linears) <= settings.cache_bytes
    return (MergedProbe if alone and fits else LoraProbe)(model, adapter)


class MergedProbe(LoraProbe):
    """With y = (W + s B A) x the hooks need y's gradient alone: dloss/dh = s B^T g, and h is computed from x again.
    `detach` gives the base its own weights back."""

    def __init__(self, model: torch.nn.Module, adapter: Adapter):
        self._own: list[torch.Tensor] = []
        super().__init__(model, adapter)

    def use(self, adapter: Adapter) -> None:
        super().use(adapter)
        self._own = self._own or [linear.weight.data for linear in self._linears]
        for linear, own, (a, b, scale) in zip(self._linears, self._own, self.weights):
            linear.weight.data = torch.addmm(own, b, a, alpha=scale)

    def detach(self) -> None:
        super().detach()
        for linear, own in zip(self._linears, self._own):
            linear.weight.data = own

    def _forward_hook(self, index: int):
        def hook(_module, inputs, output):
            if self.sink is None or not torch.is_grad_enabled():
                return
            x = inputs[0].detach()
            (output if output.requires_grad else output.requires_grad_()).register_hook(lambda g: emit(x, g))

        def emit(x: torch.Tensor, g: torch.Tensor) -> None:
            a, b, scale = self.weights[index]
            self._emit(index, 2 * index, scale * (g @ b), x)
            self._emit(index, 2 * index + 1, scale * (x @ a.T), g)

        return hook
