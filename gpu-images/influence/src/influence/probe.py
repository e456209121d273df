"""Attaches a LoRA adapter to a frozen base by hooks and yields exact per-row gradients of every A and B.

For y = W x + s B A x and a batch whose loss is a sum over independent rows, with h = A x and g = dloss/dy:
  dA_n = sum_t (dloss/dh_nt) x_nt^T        dB_n^T = sum_t (s h_nt) g_nt^T
so both come out of one backward pass as batched matrix products (Goodfellow, arXiv 1510.01799, for sequences).
Every gradient is laid out (rows, rank, width): A as it is, B transposed. Where nothing below a module needs a gradient
the pass ends at its h: the inputs of a model's first linears are never differentiated.
"""

from collections.abc import Callable

import torch

from . import errors
from .adapter import Adapter

Sink = Callable[[int, torch.Tensor], None]


class LoraProbe:
    """`sink(matrix, gradient)` is called in backward: matrix 2m is A of module m, 2m+1 is B; gradient is float32
    (windows in the batch, rank, width)."""

    def __init__(self, model: torch.nn.Module, adapter: Adapter):
        self.model = model
        self.sink: Sink | None = None
        self.windows, self.tokens = 1, 1  # shape of the batch in the current pass
        self._handles = []
        self._linears = []
        self._names = [module.name for module in adapter.modules]
        named = dict(model.named_modules())
        for index, module in enumerate(adapter.modules):
            linear = named.get(module.name)
            if linear is None or isinstance(linear, torch.nn.Embedding) or not hasattr(linear, "weight"):
                raise errors.store_mismatch(f"the base has no linear {module.name!r}: give the base that the adapter "
                                            "was trained on")
            self._linears.append(linear)
            self._handles.append(linear.register_forward_hook(self._forward_hook(index)))
        held = model.state_dict()
        for name, copy in adapter.base_copies.items():
            if name not in held or held[name].shape != copy.shape or not torch.equal(held[name].float().cpu(), copy.float()):
                raise errors.adapter_unsupported(f"the adapter holds {name!r}, which is not the base's: trained base weights")
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        self.use(adapter)

    def use(self, adapter: Adapter) -> None:
        """Switches to another checkpoint of the same adapter (same modules and shapes)."""
        self._check_shapes(adapter)
        parameter = next(self.model.parameters())
        put = {"device": parameter.device, "dtype": parameter.dtype}
        self.weights = [(m.a.to(**put), m.b.to(**put), m.scale) for m in adapter.modules]

    def _check_shapes(self, adapter: Adapter) -> None:
        if [module.name for module in adapter.modules] != self._names:
            raise errors.store_mismatch("the checkpoints adapt different modules")
        for module, linear in zip(adapter.modules, self._linears):
            # Linear keeps (out, in); GPT-2's Conv1D keeps (in, out); quantised weights are packed and not checked
            sizes = {module.a.shape[1], module.b.shape[0]}
            if linear.weight.is_floating_point() and set(linear.weight.shape) != sizes:
                raise errors.store_mismatch(f"module {module.name!r} has other shapes than the base's: give the base "
                                            "that the adapter was trained on")

    def _forward_hook(self, index: int):
        def hook(_module, inputs, output):
            x = inputs[0]
            a, b, scale = self.weights[index]
            h = x @ a.T
            if self.sink is None or not torch.is_grad_enabled():
                return output + h @ (b * scale).T
            if not h.requires_grad:
                h.requires_grad_()
            delta = h @ (b * scale).T
            kept_x, kept_h = x.detach(), h.detach() * scale
            h.register_hook(lambda g: self._emit(index, 2 * index, g, kept_x))
            delta.register_hook(lambda g: self._emit(index, 2 * index + 1, kept_h, g))
            return output + delta

        return hook

    def _emit(self, index: int, matrix: int, left: torch.Tensor, right: torch.Tensor) -> None:
        left, right = (self._by_window(index, t) for t in (left, right))
        self.sink(matrix, torch.bmm(left.float().transpose(1, 2), right.float()))

    def _by_window(self, index: int, values: torch.Tensor) -> torch.Tensor:
        """(windows, tokens, width) also where a model flattens its batch, as OPT does before its MLP."""
        if values.ndim == 3 and values.shape[0] == self.windows:
            return values
        if values.ndim != 2 or len(values) != self.windows * self.tokens:
            raise errors.adapter_unsupported(f"module {self._names[index]!r} does not see every token of a row in order "
                                             "(a routed expert?): its gradient has no rows")
        return values.view(self.windows, -1, values.shape[-1])

    def shapes(self) -> list[tuple[int, int]]:
        """(rank, width) of every matrix, in sink order."""
        return [shape for a, b, _ in self.weights for shape in ((a.shape[0], a.shape[1]), (b.shape[1], b.shape[0]))]

    def detach(self) -> None:
        for handle in self._handles:
            handle.remove()
