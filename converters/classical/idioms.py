"""Frequent exact steps: what numpy and scipy compute, in the operators ONNX Runtime has in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Sequence

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value


def expit(graph: Graph, x: Value) -> Value:
    """scipy.special.expit. Not ONNX Runtime's Sigmoid: in float64 that gives 0 for -40, not 4e-18."""
    return graph.div(1, graph.add(1, graph.op("Exp", graph.op("Neg", x))))


def softmax(graph: Graph, x: Value) -> Value:
    """sklearn.utils.extmath.softmax over the last axis: exp(x - max) / sum."""
    exps = graph.op("Exp", graph.sub(x, row_max(graph, x)))
    return graph.div(exps, row_sum(graph, exps))


def outermost(graph: Graph) -> bool:
    """Whether the step being written gives the graph's own outputs: then nothing is computed from them,
    and probabilities may be written in fewer nodes that differ in the last bit."""
    return len(graph.path) == 1 or (len(graph.path) == 2 and graph.path[0] == "Pipeline")


def shares(graph: Graph, scores: Value) -> Value:
    """`softmax`; where the result is the graph's own, in one node that may differ in the last bit.

    ONNX Runtime's Softmax takes the same steps in float64; in float32 its exp and its division are rougher.
    """
    if scores.dtype == "float64" and outermost(graph):
        return graph.op("Softmax", scores, axis=1)
    return softmax(graph, scores)


def two_columns(graph: Graph, p: Value, sure: float = 1.0) -> Value:
    """``[sure - p, p]`` of p [N, 1]: each is rounded once, as numpy rounds it."""
    import numpy as np

    weights, offsets = (np.array([pair], dtype=p.dtype) for pair in ((-1, 1), (sure, 0)))
    return graph.op("Gemm", p, weights, offsets)


def against_zero(graph: Graph, score: Value, factor: float = 1.0) -> Value:
    """``[0, factor * score]`` of a finite score [N, 1]: what softmax and argmax make of two classes."""
    import numpy as np

    return graph.op("Gemm", score, np.array([[0.0, factor]], dtype=score.dtype))


def logsumexp(graph: Graph, x: Value) -> Value:
    """log(sum(exp(x))) over the last axis, shifted by the largest: shape [N, 1]."""
    top = row_max(graph, x)
    return graph.add(graph.op("Log", row_sum(graph, graph.op("Exp", graph.sub(x, top)))), top)


def row_sum(graph: Graph, x: Value, keepdims: bool = True) -> Value:
    """Sum over axis 1."""
    return graph.op("ReduceSum", x, _axes(1), keepdims=int(keepdims))


def numpy_sum(graph: Graph, x: Value, width: int) -> Value:
    """numpy's sum over the last axis (of `width`) in its order of adding; for wide rows in ONNX Runtime's.

    Fewer than 8 one after the other; up to 128 in eight lanes that are added in pairs, then the rest.
    """
    import numpy as np

    blocks, axis = width // 8, np.array(-1)
    if width == 0 or width > 128:
        return graph.op("ReduceSum", x, axis.reshape(1), keepdims=0)
    if not blocks:
        return graph.op("Gather", graph.op("CumSum", x, axis), np.array(width - 1), axis=-1)
    ends = [np.array([number]) for number in (0, 8 * blocks, width)]
    shape = graph.op("Concat", graph.op("Shape", x, start=0, end=-1), np.array([blocks, 8]), axis=0)
    lanes = graph.op("Reshape", graph.op("Slice", x, ends[0], ends[1], axis.reshape(1)), shape)
    running = graph.op("CumSum", lanes, np.array(-2))
    sums = [graph.op("Gather", running, np.array(blocks - 1), axis=-2)]
    for _ in range(3):
        halves = [graph.op("Slice", sums[0], *(np.array([n]) for n in (start, 8, -1, 2))) for start in (0, 1)]
        sums = [graph.add(*halves)]
    if width == 8 * blocks:
        return graph.op("Gather", sums[0], np.array(0), axis=-1)
    rest = graph.op("Concat", sums[0], graph.op("Slice", x, ends[1], ends[2], axis.reshape(1)), axis=-1)
    return graph.op("Gather", graph.op("CumSum", rest, axis), np.array(width - 8 * blocks), axis=-1)


def row_max(graph: Graph, x: Value, keepdims: bool = True) -> Value:
    """Largest over axis 1; unlike numpy's, NaN does not win."""
    return graph.op("ReduceMax", x, _axes(1), keepdims=int(keepdims))


def row_min(graph: Graph, x: Value, keepdims: bool = True) -> Value:
    """Smallest over axis 1; unlike numpy's, NaN does not win."""
    return graph.op("ReduceMin", x, _axes(1), keepdims=int(keepdims))


def argmax(graph: Graph, x: Value, last: bool = False) -> Value:
    """numpy.argmax over axis 1: the first of equals, or the `last`. Shape [N], int64."""
    return graph.op("ArgMax", x, axis=1, keepdims=0, select_last_index=int(last))


def argmin(graph: Graph, x: Value) -> Value:
    """numpy.argmin over axis 1: the first of equals. Shape [N], int64."""
    return graph.op("ArgMin", x, axis=1, keepdims=0, select_last_index=0)


def take_columns(graph: Graph, x: Value, columns: Sequence[int] | np.ndarray) -> Value:
    """x[:, columns]."""
    import numpy as np

    return graph.op("Gather", x, np.asarray(columns, dtype=np.int64), axis=1)


def column(graph: Graph, x: Value, index: int) -> Value:
    """x[:, index], shape [N]."""
    import numpy as np

    return graph.op("Gather", x, np.asarray(index, dtype=np.int64), axis=1)


def take(graph: Graph, table: Any, indices: Value) -> Value:
    """table[indices] along axis 0 for a fitted table of any dtype, text too."""
    return graph.op("Gather", graph.value(table), indices, axis=0)


def classes(graph: Graph, labels: Any, indices: Value) -> Value:
    """labels[indices] as the source's label dtype: text, int64, bool or float64."""
    import numpy as np

    labels = np.asarray(labels)
    if labels.dtype == object and not any(isinstance(label, str) for label in labels.tolist()):
        labels = np.array(labels.tolist())
    if labels.dtype.kind in "iu":
        labels = labels.astype(np.int64)
        if np.array_equal(labels, np.arange(len(labels))):
            return indices
    return take(graph, labels, indices)


def concat(graph: Graph, parts: Sequence[Value], axis: int = 1) -> Value:
    """Parts of one dtype side by side."""
    return parts[0] if len(parts) == 1 else graph.op("Concat", *parts, axis=axis)


def flat(graph: Graph, x: Value) -> Value:
    """Shape [N, 1] to [N]."""
    if x.name in graph.vectors:
        return graph.vectors[x.name]
    return graph.op("Reshape", x, _axes(-1))


def upright(graph: Graph, x: Value) -> Value:
    """Shape [N] to [N, 1]."""
    column = graph.op("Unsqueeze", x, _axes(1))
    graph.vectors[column.name] = x
    return column


def stack(graph: Graph, parts: Sequence[Value]) -> Value:
    """Vectors [N] to [N, len(parts)]."""
    return concat(graph, [upright(graph, part) for part in parts])


def one_hot(graph: Graph, codes: Value, count: int, dtype: str = "float64") -> Value:
    """[N, 1] int64 codes to [N, count] ones and zeros; a code outside gives a row of zeros."""
    import numpy as np

    return graph.cast(graph.op("Equal", codes, np.arange(count, dtype=np.int64).reshape(1, -1)), dtype)


def lookup(graph: Graph, x: Value, keys: Any, values: np.ndarray, default: Any) -> Value:
    """values[i] where x == keys[i] (NaN equals NaN, -0.0 equals 0.0), else `default`.

    `x` is string, int64, float64 or float32; `keys` have its dtype; `values` are int64 or of x's
    numeric dtype or float64.
    """
    import numpy as np
    from onnx import numpy_helper

    values = np.asarray(values)
    fallback = np.asarray([default], dtype=values.dtype)
    attributes = {
        "keys_tensor": _tensor(keys, x.dtype),
        "values_tensor": numpy_helper.from_array(values, "values"),
        "default_tensor": numpy_helper.from_array(fallback, "default"),
    }
    return graph.op("LabelEncoder", x, domain="ai.onnx.ml", dtype=str(values.dtype), **attributes)


def is_nan(graph: Graph, x: Value) -> Value:
    """numpy.isnan; integers, booleans and text have none."""
    if x.dtype.startswith("float"):
        return graph.op("IsNaN", x)
    return graph.op("And", graph.equal(x, x), graph.constant(False))


def clip(graph: Graph, x: Value, low: float, high: float) -> Value:
    """numpy.clip: NaN stays."""
    return graph.minimum(graph.maximum(x, low), high)


def count(graph: Graph) -> Value:
    """The number of rows, shape [1], int64."""
    if graph.rows is None:
        raise TypeError("the graph has no input yet")
    return graph.op("Shape", graph.rows, start=0, end=1)


def broadcast_rows(graph: Graph, row: Any) -> Value:
    """A constant row, repeated for each row of the batch: [N, *row.shape]."""
    import numpy as np

    row = np.asarray(row)
    shape = graph.op("Concat", count(graph), graph.constant(np.array(row.shape, dtype=np.int64)), axis=0)
    return graph.op("Expand", graph.constant(row[None]), shape)


def _axes(*axes: int) -> np.ndarray:
    import numpy as np

    return np.array(axes, dtype=np.int64)


def _tensor(array: Any, dtype: str) -> Any:
    import numpy as np
    from onnx import helper, numpy_helper

    if dtype == "string":
        return helper.make_tensor("keys", 8, [len(array)], [str(item).encode("utf-8") for item in array])
    return numpy_helper.from_array(np.asarray(array, dtype=dtype), "keys")
