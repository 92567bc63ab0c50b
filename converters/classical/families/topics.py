"""LatentDirichletAllocation.

Source: sklearn/decomposition/_lda.py, _online_lda_fast.pyx (1.9).

- transform: for each row alone the document's topics start at 1 and are updated until their mean change is
  below mean_change_tol, at most max_doc_update_iter times, then divided by their sum: a loop in which rows
  that are done stay.
- update: ``norm = E @ B + eps``, ``d = E * ((counts / norm) @ B.T) + prior``, ``E = exp(psi(d) - psi(sum
  d))``, with B = exp_dirichlet_component_; eps of the dtype of components_, in which everything is
  computed.
- psi: Bernardo's algorithm AS 103, as the source has it: recurrence up to 6, then four terms.
- a count of 0 takes no part; negative counts are refused by the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature
from converters.classical.families.approximation import not_negative
from converters.classical.graph import Graph, Value

if TYPE_CHECKING:
    import onnx


class LatentDirichletAllocation(Emitter):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, graph = self.estimator, self.graph
        topics = np.asarray(source.components_)
        if topics.dtype != np.float64:
            raise self.refuse(f"components in {topics.dtype}", "Fit it on float64 counts.")
        counts = graph.cast(numeric(graph, X).value, "float64")
        ones = idioms.broadcast_rows(graph, np.ones(len(topics)))
        start = graph.mul(ones, float(np.exp(psi_of(1.0) - psi_of(len(topics)))))
        go, turns = graph.constant(np.array(True)), graph.constant(np.array(int(source.max_doc_update_iter)))
        active = graph.greater(idioms.take_columns(graph, ones, [0]), 0)
        found = graph.ops(
            "Loop", turns, go, ones, start, active, counts,
            dtypes=("float64", "float64", "bool", "float64"), body=self._body(),
        )[0]  # fmt: skip
        return Matrix(graph.div(found, idioms.row_sum(graph, found)), len(topics))

    def _body(self) -> onnx.GraphProto:
        """One update of every row that is not done."""
        import numpy as np
        from onnx import compose

        source, inside = self.estimator, Graph()
        topics = len(source.components_)
        inside.input("turn", "int64", ())
        inside.input("go", "bool", ())
        document = inside.input("document", "float64", ("n", topics))
        expected = inside.input("expected", "float64", ("n", topics))
        active = inside.input("active", "bool", ("n", 1))
        counts = inside.input("counts", "float64", ("n", source.components_.shape[1]))
        words = np.asarray(source.exp_dirichlet_component_, dtype=np.float64)
        norm = inside.add(inside.matmul(expected, words), float(np.finfo(np.float64).eps))
        shares = inside.matmul(inside.div(counts, norm), np.ascontiguousarray(words.T))
        newer = inside.add(inside.mul(expected, shares), float(source.doc_topic_prior_))
        total = psi(inside, idioms.row_sum(inside, newer))
        hoped = inside.op("Exp", inside.sub(psi(inside, newer), total))
        apart = inside.op("Abs", inside.sub(document, newer))
        change = inside.div(idioms.row_sum(inside, apart), float(topics))
        still = inside.op("And", active, inside.op("Not", inside.less(change, float(source.mean_change_tol))))
        some = inside.op("ReduceMax", inside.cast(still, "int64"), keepdims=0)
        inside.output("again", inside.cast(some, "bool"), ())
        inside.output("document_", inside.where(active, newer, document), ("n", topics))
        inside.output("expected_", inside.where(active, hoped, expected), ("n", topics))
        inside.output("active_", still, ("n", 1))
        inside.output("counts_", counts, ("n", words.shape[1]))
        # Names inside a loop must not be those of the graph around it.
        return compose.add_prefix_graph(inside.build().graph, "topics/")

    def facts(self) -> list[Feature]:
        return not_negative(self.width)


def psi(graph: Graph, x: Value) -> Value:
    """The digamma function of positive float64 numbers, as the source approximates it."""
    tiny = graph.less_equal(x, 1e-6)
    near = graph.sub(-_EULER, graph.div(1.0, x))
    result, moved = graph.mul(x, 0.0), graph.where(tiny, 1.0, x)
    for _ in range(6):
        small = graph.less(moved, 6.0)
        result = graph.sub(result, graph.where(small, graph.div(1.0, moved), 0.0))
        moved = graph.where(small, graph.add(moved, 1.0), moved)
    r = graph.div(1.0, moved)
    result = graph.add(result, graph.sub(graph.op("Log", moved), graph.mul(0.5, r)))
    square = graph.mul(r, r)
    inner = graph.sub(1.0 / 120.0, graph.mul(square, 1.0 / 252.0))
    series = graph.mul(square, graph.sub(1.0 / 12.0, graph.mul(square, inner)))
    return graph.where(tiny, near, graph.sub(result, series))


_EULER = 0.577215664901532860606512090082402431


def psi_of(x: float) -> float:
    """The same approximation for one number of at least 1, for the start."""
    import math

    result = 0.0
    while x < 6:
        result -= 1.0 / x
        x += 1
    r = 1.0 / x
    result += math.log(x) - 0.5 * r
    r = r * r
    return result - r * ((1.0 / 12.0) - r * ((1.0 / 120.0) - r * (1.0 / 252.0)))


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.decomposition.LatentDirichletAllocation": LatentDirichletAllocation
}
