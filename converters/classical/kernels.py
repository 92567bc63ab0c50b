"""Which operators ONNX Runtime's CPU provider can run on which dtypes, and what they give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Sequence

if TYPE_CHECKING:
    from converters.classical.graph import Value

_COMPARISONS = {
    "Equal",
    "Less",
    "LessOrEqual",
    "Greater",
    "GreaterOrEqual",
    "IsNaN",
    "IsInf",
    "RegexFullMatch",
}
_INDICES = {"ArgMax", "ArgMin", "Shape", "Size", "NonZero"}


# Measured with ONNX Runtime 1.32 (get_all_opkernel_def): no CPU kernel for these dtypes.
_NO_KERNEL = {
    "float64": {
        *("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Sinh", "Tan", "Erf", "Softplus"),
        *("Softsign", "Det", "OneHot", "NonZero", "Elu", "Selu", "Celu", "HardSigmoid", "Gelu", "Mish"),
    },
    "bool": {"Where", "ArgMax", "ArgMin", "TopK", "Unique", "Add", "Mul", "Sub", "MatMul", "CumSum"},
    "int64": {"Exp", "Log", "Sqrt", "Floor", "Ceil", "Round", "Softmax", "Sigmoid", "Gemm", "Reciprocal"},
    "string": {"Add", "Max", "Min", "ArgMax", "TopK"},
}


def inferred(kind: str, values: Sequence[Value]) -> str:
    if kind in _COMPARISONS:
        return "bool"
    if kind in _INDICES:
        return "int64"
    return values[1 if kind == "Where" else 0].dtype


def demand_kernel(kind: str, values: Sequence[Value], domain: str) -> None:
    if domain or not values:
        return
    dtype = values[1 if kind == "Where" else 0].dtype
    if kind in _NO_KERNEL.get(dtype, ()):
        raise TypeError(
            f"ONNX Runtime has no CPU kernel for {kind}({dtype}); see converters.classical.idioms"
        )
    if kind in ("Add", "Sub", "Mul", "Div", "MatMul", "Concat", "Less", "Equal", "Greater"):
        dtypes = sorted({value.dtype for value in values})
        if len(dtypes) > 1:
            raise TypeError(f"{kind} of {' and '.join(dtypes)}: promote first (Graph.arithmetic)")
