"""NMF by coordinate descent; the multiplicative solvers are refused.

Source: sklearn/decomposition/_nmf.py, _cdnmf_fast.pyx (1.9).

- transform, solver cd: W starts at 0 and is improved component after component, ``W_t = max(W_t - grad /
  hess, 0)`` with ``grad = W @ HHt_t - XHt_t``; HHt and XHt carry the penalties (alpha_W, l1_ratio).
- it ends when the sum of the projected gradients over *all* rows falls to tol times that of the first turn,
  or after max_iter: so a row's answer depends, within tol, on the rows beside it. The graph does the same
  with the rows of its batch.
- solver mu and MiniBatchNMF start from the mean of the whole batch: refused.
- dtype: that of X and components_, float64 here. Negative numbers are refused by the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats
from converters.classical.emit import Emitter
from converters.classical.facts import Feature
from converters.classical.families.approximation import not_negative
from converters.classical.graph import Graph

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.classical.graph import Value


class NMF(Emitter):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, graph = self.estimator, self.graph
        parts = np.asarray(source.components_)
        if source.solver != "cd" or source.shuffle or parts.dtype != np.float64:
            raise self.refuse(
                f"solver={source.solver!r}, shuffle={source.shuffle}, dtype {parts.dtype}: only coordinate "
                "descent in order and in float64 has a converter"
            )
        X = floats(graph, X)
        if X.dtype != "float64":
            raise self.refuse("rows in float32, in which the number of turns depends on the rounding")
        target = graph.sub(graph.matmul(X.value, parts.T), self._penalty(source.l1_ratio))
        start = idioms.broadcast_rows(graph, np.zeros(len(parts)))
        first = graph.constant(np.array(-1.0))
        turns, go = graph.constant(np.array(int(source.max_iter))), graph.constant(np.array(True))
        state = ("float64", "float64", "float64")
        found = graph.ops("Loop", turns, go, start, first, target, dtypes=state, body=self._body(parts))
        return Matrix(found[0], len(parts))

    def _penalty(self, share: float) -> float:
        return float(self.width * self.estimator.alpha_W * share)

    def _body(self, parts: np.ndarray) -> onnx.GraphProto:
        """One turn over all components: (W, the first turn's violation or -1, XHt)."""
        import numpy as np
        from onnx import compose

        body, count = Graph(), len(parts)
        body.input("turn", "int64", ())
        body.input("go", "bool", ())
        W = body.input("W", "float64", ("n", count))
        first = body.input("first", "float64", ())
        target = body.input("target", "float64", ("n", count))
        gram = parts @ parts.T + self._penalty(1.0 - self.estimator.l1_ratio) * np.eye(count)
        columns = [idioms.take_columns(body, W, [t]) for t in range(count)]
        gradients = [self._improve(body, columns, target, gram, t) for t in range(count)]
        violation = body.op("ReduceSum", idioms.concat(body, gradients), np.array([0, 1]), keepdims=0)
        begun = body.where(body.less(first, 0.0), violation, first)
        still = body.greater(body.div(violation, begun), float(self.estimator.tol))
        body.output("again", body.op("And", still, body.greater(begun, 0.0)), ())
        body.output("W_", idioms.concat(body, columns), ("n", count))
        body.output("first_", begun, ())
        body.output("target_", target, ("n", count))
        return compose.add_prefix_graph(body.build().graph, "descent/")

    def _improve(self, body: Graph, columns: list[Value], target: Value, gram: np.ndarray, t: int) -> Value:
        """Improve component t in place; gives the size of its projected gradient, [N, 1]."""
        gradient = body.op("Neg", idioms.take_columns(body, target, [t]))
        for r, column in enumerate(columns):
            gradient = body.add(gradient, body.mul(column, float(gram[t, r])))
        projected = body.where(body.equal(columns[t], 0.0), body.minimum(gradient, 0.0), gradient)
        if gram[t, t] != 0:
            moved = body.sub(columns[t], body.div(gradient, float(gram[t, t])))
            columns[t] = body.maximum(moved, 0.0)
        return body.op("Abs", projected)

    def facts(self) -> list[Feature]:
        return not_negative(self.width)


class MiniBatchNMF(NMF):
    def transform(self, X: Features) -> Matrix:
        raise self.refuse(
            "it starts from the mean of the whole batch, so a row has no answer of its own",
            "Use NMF with solver='cd'.",
        )


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.decomposition.NMF": NMF,
    "sklearn.decomposition.MiniBatchNMF": MiniBatchNMF,
}
