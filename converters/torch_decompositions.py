"""Operators that torch's own exporters translate wrongly, translated rightly."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Iterator

if TYPE_CHECKING:
    import torch


def rewritten(program: Any) -> Any:
    """`program` with each ``scatter_reduce(mean)`` written as sums and counts, which ONNX has."""
    import torch

    operator = torch.ops.aten.scatter_reduce.two
    means = [n for n in program.graph.nodes if n.target is operator and n.args[4] == "mean"]
    return program.run_decompositions({operator: scatter_reduce}) if means else program


def scatter_reduce(
    input: torch.Tensor,
    dim: int,
    index: torch.Tensor,
    src: torch.Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Any:
    """``aten.scatter_reduce`` with ``mean`` in operators that ONNX can say.

    The exporter leaves the reduction out, so each cell keeps the last value written to it.
    https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_reduce_.html
    """
    import torch

    if reduce != "mean":
        return NotImplemented
    ones = torch.ones_like(src)
    counts = torch.zeros_like(input).scatter_add(dim, index, ones)
    start = input if include_self else torch.where(counts > 0, torch.zeros_like(input), input)
    total = start.scatter_add(dim, index, src)
    divisor = counts + 1 if include_self else counts.clamp(min=1)
    if input.is_floating_point():
        return total / divisor
    return torch.div(total, divisor, rounding_mode="floor")


def TRANSLATIONS() -> dict[Any, Any]:
    """Translations for the dynamo exporter.

    LogSigmoid comes as Log(Sigmoid(x)), which is −inf below about −17 (−104 in exact arithmetic it
    never is); −Softplus(−x) is the same function and finite. LogAddExp comes as Log(Exp(a) + Exp(b)),
    which is infinite from 89 on. The median and the k-th value do not come at all. ``exp(x) - 1`` and
    ``log(1 + x)`` lose small x; the formulas are those of `converters.tensorflow_operations`.
    """
    import torch
    from onnxscript import opset18 as op

    def log_sigmoid(self: Any) -> Any:
        return op.Neg(op.Softplus(op.Neg(self)))

    def logaddexp(self: Any, other: Any) -> Any:
        larger = op.Max(self, other)
        apart = op.Sub(larger, op.Min(self, other))
        # Two infinities of one sign are NaN apart; equal ones are log 2 above either.
        same = op.Equal(self, other)
        return op.Add(larger, op.Softplus(op.Neg(op.Where(same, op.CastLike(0.0, self), apart))))

    def expm1(self: Any) -> Any:
        one = op.CastLike(1.0, self)
        half = op.Tanh(op.Div(self, op.CastLike(2.0, self)))
        near = op.Div(op.Add(half, half), op.Sub(one, half))
        return op.Where(op.Less(op.Abs(self), one), near, op.Sub(op.Exp(self), one))

    def log1p(self: Any) -> Any:
        one = op.CastLike(1.0, self)
        total = op.Add(self, one)
        kept, logarithm = op.Sub(total, one), op.Log(total)
        lost = op.Where(op.Equal(kept, op.CastLike(0.0, self)), self, op.Mul(logarithm, op.Div(self, kept)))
        return op.Where(op.Equal(kept, self), logarithm, lost)

    def kthvalue(self: Any, k: int, dim: int = -1, keepdim: bool = False) -> Any:
        return smallest(self, op.Constant(value_ints=[k]), dim, keepdim)

    def median(self: Any, dim: int = -1, keepdim: bool = False) -> Any:
        size = op.Gather(op.Shape(self), op.Constant(value_ints=[dim]))
        half = op.Div(op.Add(size, op.Constant(value_ints=[1])), op.Constant(value_ints=[2]))
        return smallest(self, half, dim, keepdim)

    def smallest(self: Any, k: Any, dim: int, keepdim: bool) -> Any:
        values, indices = op.TopK(self, k, axis=dim, largest=0)
        last = op.Constant(value_ints=[-1])
        found = [op.Gather(part, last, axis=dim) for part in (values, indices)]
        axis = op.Constant(value_ints=[dim])
        return tuple(found if keepdim else [op.Squeeze(part, axis) for part in found])

    return {
        torch.ops.aten.log_sigmoid.default: log_sigmoid,
        torch.ops.aten.logaddexp.default: logaddexp,
        torch.ops.aten.expm1.default: expm1,
        torch.ops.aten.log1p.default: log1p,
        torch.ops.aten.kthvalue.default: kthvalue,
        torch.ops.aten.median.dim: median,
    }


@contextlib.contextmanager
def script_symbolics(opset: int) -> Iterator[None]:
    """The same for the TorchScript exporter, registered while it runs."""
    import torch

    def log_sigmoid(graph: Any, value: Any) -> Any:
        return graph.op("Neg", graph.op("Softplus", graph.op("Neg", value)))

    torch.onnx.register_custom_op_symbolic("aten::log_sigmoid", log_sigmoid, opset)
    try:
        yield
    finally:
        torch.onnx.unregister_custom_op_symbolic("aten::log_sigmoid", opset)
