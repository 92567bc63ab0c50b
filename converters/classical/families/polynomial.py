"""PolynomialFeatures.

Source: sklearn/preprocessing/_polynomial.py, _csr_polynomial_expansion.pyx (1.9).

- dtype: float32 or float64 as X, integers as float64.
- order of the products: a dense term of features i <= j <= k is ``(x_j * x_k) * x_i``, one of a sparse matrix
  ``(x_i * x_j) * x_k``; both to the last bit.
- NaN and infinity are refused by the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats
from converters.classical.emit import Emitter
from converters.classical.releases import degrees

if TYPE_CHECKING:
    from converters.classical.graph import Value

Combination = tuple[int, ...]


class PolynomialFeatures(Emitter):
    def transform(self, X: Features) -> Matrix:
        X = floats(self.graph, X)
        wanted = self._combinations()
        parts = [self._constant(X)] if wanted and wanted[0] == () else []
        terms: list[Combination] = [(i,) for i in range(X.width)]
        value = X.value
        for degree in range(1, degrees(self.estimator)[1] + 1):
            if degree > 1:
                terms, value = self._longer(X, terms, value, degree)
            kept = [combination for combination in wanted if len(combination) == degree]
            if kept:
                place = {term: i for i, term in enumerate(terms)}
                parts.append(idioms.take_columns(self.graph, value, [place[term] for term in kept]))
        if not parts:
            raise self.refuse("no term is left")
        return Matrix(idioms.concat(self.graph, parts), len(wanted), X.sparse)

    def _constant(self, X: Matrix) -> Value:
        import numpy as np

        return idioms.broadcast_rows(self.graph, np.ones(1, X.dtype))

    def _longer(
        self, X: Matrix, terms: list[Combination], value: Value, degree: int
    ) -> tuple[list[Combination], Value]:
        """All terms of one degree more, from those before."""
        place = {term: i for i, term in enumerate(terms)}
        made = self._every(degree, X.width)
        if not made:
            return [], value
        shorter = [place[term[:-1] if X.sparse else term[1:]] for term in made]
        factor = [term[-1] if X.sparse else term[0] for term in made]
        graph = self.graph
        left = idioms.take_columns(graph, value, shorter)
        return made, graph.mul(left, idioms.take_columns(graph, X.value, factor))

    def _every(self, degree: int, width: int) -> list[Combination]:
        from itertools import combinations, combinations_with_replacement

        choose = combinations if self.estimator.interaction_only else combinations_with_replacement
        return list(choose(range(width), degree))

    def _combinations(self) -> list[Combination]:
        source = self.estimator
        found: list[Combination] = [()] if source.include_bias else []
        lowest, highest = degrees(source)
        for degree in range(max(1, lowest), highest + 1):
            found += self._every(degree, self.width)
        return found


EMITTERS = {"sklearn.preprocessing.PolynomialFeatures": PolynomialFeatures}
