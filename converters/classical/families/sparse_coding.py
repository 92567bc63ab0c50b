"""SparseCoder, DictionaryLearning and MiniBatchDictionaryLearning: a row as a mixture of few atoms.

Source: sklearn/decomposition/_dict_learning.py, linear_model/_omp.py (1.9).

- threshold: ``sign(c) * max(|c| - alpha, 0)`` of the products c of row and atoms.
- omp (the default): the atom with the largest product with what is left of the row joins, the products of
  all chosen are solved for by Cholesky's factors, and again, n_nonzero_coefs times (default: a tenth of the
  features, at least 1, at most the number of atoms). It ends early where the largest product's square is
  below eps, the atom was chosen before, or depends on those chosen.
- split_sign: positive parts, then negative ones, in float64.
- lars, lasso_lars and lasso_cd walk until a tolerance is reached: refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats
from converters.classical.emit import Emitter
from converters.classical.families import precision
from converters.classical.graph import Value

if TYPE_CHECKING:
    import numpy as np

MOST_ATOMS = 10
"""Chosen for one row; the graph has nodes by the cube of it."""


class SparseCoder(Emitter):
    @property
    def dictionary(self) -> np.ndarray:
        import numpy as np

        own = getattr(self.estimator, "components_", None)
        return np.asarray(self.estimator.dictionary if own is None else own)

    def transform(self, X: Features) -> Matrix:
        matrix = floats(self.graph, X)
        code = self._code(matrix)
        if self.estimator.split_sign:
            code = self.graph.cast(code, "float64")
            negative = self.graph.op("Neg", self.graph.minimum(code, 0.0))
            code = idioms.concat(self.graph, [self.graph.maximum(code, 0.0), negative])
        return Matrix(code, len(self.dictionary) * (2 if self.estimator.split_sign else 1))

    def _code(self, X: Matrix) -> Value:
        kind, dictionary = self.estimator.transform_algorithm, self.dictionary
        if kind not in ("omp", "threshold"):
            raise self.refuse(
                f"transform_algorithm={kind!r} walks until a tolerance is reached",
                "Use transform_algorithm='omp' or 'threshold'.",
            )
        if str(dictionary.dtype) != X.dtype:
            raise self.refuse(
                f"rows in {X.dtype} with atoms in {dictionary.dtype}", f"Give it rows in {dictionary.dtype}."
            )
        products = self.graph.matmul(X.value, dictionary.T)
        return self._shrunk(products) if kind == "threshold" else self._pursued(products, X)

    def _shrunk(self, products: Value) -> Value:
        graph, source = self.graph, self.estimator
        given = source.transform_alpha
        alpha = getattr(source, "alpha", 1.0) if given is None else given
        size = graph.maximum(graph.sub(graph.op("Abs", products), float(alpha)), 0.0)
        code = graph.mul(graph.op("Sign", products), size)
        return graph.maximum(code, 0.0) if source.positive_code else code

    def _pursued(self, products: Value, X: Matrix) -> Value:
        import numpy as np

        graph, atoms = self.graph, len(self.dictionary)
        given = self.estimator.transform_n_nonzero_coefs
        wanted = int(min(max(X.width / 10, 1), atoms)) if given is None else int(given)
        if wanted > MOST_ATOMS:
            raise self.refuse(f"{wanted} atoms for one row, more than {MOST_ATOMS}", "Use fewer of them.")
        gram = self.dictionary @ self.dictionary.T
        if wanted > 1 and atoms <= X.width:
            share = float(np.linalg.cond(gram) * np.finfo(gram.dtype).eps)
            way_out = "Scale the features before it, or choose fewer atoms."
            precision.demand(self, share, precision.MOST_LOST[str(gram.dtype)], way_out)
        pursuit = Pursuit(self, products, gram)
        code = graph.mul(products, 0.0)
        left, going = products, graph.greater(graph.op("Abs", idioms.row_sum(graph, code)), -1.0)
        for _ in range(wanted):
            going = pursuit.join(left, going)
            mixture = pursuit.mixture()
            code = graph.where(going, mixture, code)
            left = graph.sub(products, graph.matmul(mixture, np.ascontiguousarray(gram)))
        return code


class Pursuit:
    """The chosen atoms of each row, and the lower factor of their products, entry by entry [N, 1]."""

    def __init__(self, writer: SparseCoder, products: Value, gram: np.ndarray) -> None:
        self.writer, self.graph, self.products, self.gram = writer, writer.graph, products, gram
        self.chosen: list[Value] = []
        self.factor: list[list[Value]] = []

    def join(self, left: Value, going: Value) -> Value:
        """One more atom for each row; gives where it could be had and the pursuit is still going."""
        import numpy as np

        graph, eps = self.graph, float(np.finfo(self.gram.dtype).eps)
        size = graph.op("Abs", left)
        best = idioms.upright(graph, idioms.argmax(graph, size))
        top = idioms.row_max(graph, size)
        going = graph.op("And", going, graph.greater_equal(graph.mul(top, top), eps))
        line = self._solved_down([self._product(best, other) for other in self.chosen])
        rest = self._product(best, best)
        for entry in line:
            rest = graph.sub(rest, graph.mul(entry, entry))
        for other in self.chosen:
            going = graph.op("And", going, graph.op("Not", graph.equal(best, other)))
        going = graph.op("And", going, graph.greater(rest, eps)) if self.chosen else going
        safe = graph.where(going, rest, 1.0)
        self.chosen.append(best)
        self.factor.append([*line, graph.op("Sqrt", safe)])
        return going

    def mixture(self) -> Value:
        """The chosen atoms' weights, solved for: [N, atoms]."""
        graph, atoms = self.graph, len(self.gram)
        wanted = [graph.op("GatherElements", self.products, atom, axis=1) for atom in self.chosen]
        weights = self._solved_up(self._solved_down(wanted))
        total: Value | None = None
        for atom, weight in zip(self.chosen, weights):
            part = graph.mul(idioms.one_hot(graph, atom, atoms, weight.dtype), weight)
            total = part if total is None else graph.add(total, part)
        assert total is not None
        return total

    def _product(self, one: Value, other: Value) -> Value:
        """Of two atoms by their numbers."""
        place = self.graph.add(self.graph.mul(one, len(self.gram)), other)
        return idioms.take(self.graph, self.gram.reshape(-1), place)

    def _solved_down(self, wanted: list[Value]) -> list[Value]:
        """L x = wanted."""
        graph = self.graph
        found: list[Value] = []
        for line, value in zip(self.factor, wanted):
            for entry, known in zip(line, list(found)):
                value = graph.sub(value, graph.mul(entry, known))
            found.append(graph.div(value, line[len(found)]))
        return found

    def _solved_up(self, wanted: list[Value]) -> list[Value]:
        """L' x = wanted."""
        graph, count = self.graph, len(wanted)
        found: dict[int, Value] = {}
        for place in reversed(range(count)):
            value = wanted[place]
            for below in range(place + 1, count):
                value = graph.sub(value, graph.mul(self.factor[below][place], found[below]))
            found[place] = graph.div(value, self.factor[place][place])
        return [found[place] for place in range(count)]


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.decomposition.SparseCoder": SparseCoder,
    "sklearn.decomposition.DictionaryLearning": SparseCoder,
    "sklearn.decomposition.MiniBatchDictionaryLearning": SparseCoder,
}
