"""Leaves by an upstream converter: one estimator converted alone, its nodes copied in.

Only for estimators whose upstream graph was shown to be right, and always in the dtype of the
source: the leaf is converted with a float64 input where the source computes in float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

from converters.classical.graph import OPSET

if TYPE_CHECKING:
    from converters.classical.columns import Matrix
    from converters.classical.graph import Graph, Value

# Deprecated in ai.onnx.ml 5, which our graphs import, and they sum in float32.
_UNFIT = {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}


def skl2onnx_leaf(
    graph: Graph,
    estimator: Any,
    X: Matrix,
    outputs: Sequence[tuple[str, str]],
    options: dict[str, Any] | None = None,
) -> list[Value]:
    """The `outputs` (name, dtype) of skl2onnx's graph of `estimator`, fed with X.

    Raises `UnsupportedModelError` where skl2onnx refuses, or writes operators we do not take over.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    kind = FloatTensorType if X.dtype == "float32" else DoubleTensorType
    opsets = {"": OPSET, "ai.onnx.ml": 3}
    try:
        model = convert_sklearn(
            estimator,
            initial_types=[("X", kind([None, X.width]))],
            target_opset=opsets,
            options=None if options is None else {id(estimator): options},
        )
    except Exception as error:
        raise graph.refuse(f"skl2onnx cannot convert it: {type(error).__name__}: {error}") from error
    unfit = sorted({node.op_type for node in model.graph.node} & _UNFIT)
    if unfit:
        raise graph.refuse(f"skl2onnx writes {', '.join(unfit)}, which sums in float32")
    return graph.inline(model, [X.value], outputs)
