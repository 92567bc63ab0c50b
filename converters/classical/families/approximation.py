"""Kernel approximations: Nystroem, RBFSampler, SkewedChi2Sampler, AdditiveChi2Sampler, PolynomialCountSketch.

Source: sklearn/kernel_approximation.py (1.9).

- Nystroem: the kernel to `components_` times ``normalization_.T``.
- RBFSampler: ``cos(X w + offset) * sqrt(2 / n)``; SkewedChi2Sampler the same over ``log(X + skewedness)``.
  In place: the dtype of the product.
- AdditiveChi2Sampler: ``sqrt(x s)``, then ``sqrt(2 x s / cosh(pi j s))`` times the cosine and sine of ``j s
  log(x)``; 0 stays 0. Whole numbers are truncated, as the source writes into an array of X's dtype.
- PolynomialCountSketch: the sketches' circular convolution, which the source computes by FFT and the graph
  by the same transform as a matrix; float64.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, floats, numeric
from converters.classical.emit import Emitter
from converters.classical.facts import Feature
from converters.classical.families import precision
from converters.classical.families.pairwise_similarity import kernel
from converters.classical.families.scaling import in_place
from zoo.records import ColumnDomain

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Value

MOST_SKETCHES = 4096
"""Larger discrete Fourier transforms would be matrices of more than 128 MiB."""


class Nystroem(Emitter):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, graph = self.estimator, self.graph
        given = {**(source.kernel_params or {}), **_set(source, ("gamma", "coef0", "degree"))}
        similar = kernel(graph, numeric(graph, X), source.components_, source.kernel, given)
        weights = np.asarray(source.normalization_)
        if source.kernel != "precomputed":
            from sklearn.metrics.pairwise import pairwise_kernels

            points, asked = source.components_, source._get_kernel_params()
            found = pairwise_kernels(points, points, metric=source.kernel, filter_params=True, **asked)
            share = precision.lost(found, weights.T, similar.dtype)
            way_out = "Use fewer components, scale the features before it, or fit in float64."
            precision.demand(self, share, precision.MOST_LOST[similar.dtype], way_out)
        return Matrix(graph.matmul(similar, weights.T), weights.shape[0])

    def facts(self) -> list[Feature]:
        return not_negative(self.width) if "chi2" in str(self.estimator.kernel) else super().facts()


class RBFSampler(Emitter):
    def transform(self, X: Features) -> Matrix:
        X = numeric(self.graph, X)
        return self.waves(X.value, (2.0 / self.estimator.n_components) ** 0.5)

    def waves(self, x: Value, scale: float) -> Matrix:
        """``cos(x w + offset) * scale``."""
        import numpy as np

        graph, weights = self.graph, np.asarray(self.estimator.random_weights_)
        self._demand_phase(x, weights)
        moved = in_place(graph, "Add", graph.matmul(x, weights), self.estimator.random_offset_)
        value = graph.mul(graph.op("Cos", moved), scale)
        return Matrix(value, weights.shape[1])

    def _demand_phase(self, x: Value, weights: np.ndarray) -> None:
        """Refuse where rounding moves the angles of rows like those that were fitted."""
        import numpy as np

        typical = self.graph.typical.get(x.name)
        if typical is None:
            return
        dtype = str(np.result_type(x.dtype, weights))
        angle = float((np.abs(typical.astype(np.float64)) @ np.abs(weights.astype(np.float64))).max())
        share = angle * float(np.finfo(dtype).eps)
        if share > precision.MOST_LOST[dtype]:
            raise self.refuse(
                f"rows of about {typical.tolist()} give angles of {angle:.2g}, which rounding to {dtype} "
                f"moves by {share:.1g}: a row alone gets another answer than in a batch",
                "Scale the features before it (StandardScaler).",
            )


class SkewedChi2Sampler(RBFSampler):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        X = floats(self.graph, X)
        logs = self.graph.op("Log", self.graph.add(X.value, float(self.estimator.skewedness)))
        return self.waves(logs, float(np.sqrt(2.0) / np.sqrt(self.estimator.n_components)))

    def facts(self) -> list[Feature]:
        return not_negative(self.width)


class AdditiveChi2Sampler(Emitter):
    def transform(self, X: Features) -> Matrix:
        graph, matrix = self.graph, numeric(self.graph, X)
        x = matrix.value if matrix.dtype.startswith("float") else graph.cast(matrix.value, "float64")
        none = graph.equal(x, 0)
        known = graph.where(none, 1.0, x)
        parts = [graph.where(none, 0.0, part) for part in self._parts(known)]
        steps = [graph.cast(part, matrix.dtype) for part in parts]
        return Matrix(idioms.concat(graph, steps), len(steps) * matrix.width, matrix.sparse)

    def _parts(self, x: Value) -> list[Value]:
        import math

        graph, interval = self.graph, self._interval()
        logs = graph.mul(graph.op("Log", x), interval)
        parts = [graph.op("Sqrt", graph.mul(x, interval))]
        double = graph.mul(graph.mul(2.0, x), interval)
        for j in range(1, int(self.estimator.sample_steps)):
            factor = graph.op("Sqrt", graph.div(double, math.cosh(math.pi * j * interval)))
            turn = graph.mul(logs, float(j))
            parts += [graph.mul(factor, graph.op(wave, turn)) for wave in ("Cos", "Sin")]
        return parts

    def _interval(self) -> float:
        given = self.estimator.sample_interval
        return float(given) if given is not None else {1: 0.8, 2: 0.5, 3: 0.4}[self.estimator.sample_steps]

    def facts(self) -> list[Feature]:
        return not_negative(self.width)


class PolynomialCountSketch(Emitter):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        graph, count = self.graph, int(self.estimator.n_components)
        if count > MOST_SKETCHES:
            raise self.refuse(f"n_components={count} as a matrix of {count}²", f"At most {MOST_SKETCHES}.")
        x = graph.cast(numeric(graph, X).value, "float64")
        angles = 2 * np.pi * (np.outer(np.arange(count), np.arange(count)) % count) / count
        real, imaginary = self._transformed(x, 0, angles)
        for degree in range(1, int(self.estimator.degree)):
            a, b = self._transformed(x, degree, angles)
            real, imaginary = (
                graph.sub(graph.mul(real, a), graph.mul(imaginary, b)),
                graph.add(graph.mul(real, b), graph.mul(imaginary, a)),
            )
        back = graph.sub(
            graph.matmul(real, np.cos(angles) / count), graph.matmul(imaginary, np.sin(angles) / count)
        )
        return Matrix(back, count)

    def _transformed(self, x: Value, degree: int, angles: np.ndarray) -> tuple[Value, Value]:
        """Real and imaginary part of the Fourier transform of one count sketch."""
        import numpy as np

        graph, source = self.graph, self.estimator
        places, signs = source.indexHash_[degree], source.bitHash_[degree]
        sketch = np.zeros((len(places), int(source.n_components)))
        sketch[np.arange(len(places)), places] = signs
        scaled = sketch[: self.width] * np.sqrt(source.gamma)
        constant = sketch[self.width :].sum(axis=0, keepdims=True) * np.sqrt(source.coef0)
        waves = (np.cos(angles), -np.sin(angles))
        real, imaginary = (graph.add(graph.matmul(x, scaled @ w), constant @ w) for w in waves)
        return real, imaginary


def not_negative(count: int) -> list[Feature]:
    """Features that the source demands not to be negative."""
    return [Feature(None, ColumnDomain(low=0.0, high=10.0)) for _ in range(count)]


def _set(source: Any, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: getattr(source, name) for name in names if getattr(source, name) is not None}


EMITTERS: dict[str, type[Emitter]] = {
    "sklearn.kernel_approximation.Nystroem": Nystroem,
    "sklearn.kernel_approximation.RBFSampler": RBFSampler,
    "sklearn.kernel_approximation.SkewedChi2Sampler": SkewedChi2Sampler,
    "sklearn.kernel_approximation.AdditiveChi2Sampler": AdditiveChi2Sampler,
    "sklearn.kernel_approximation.PolynomialCountSketch": PolynomialCountSketch,
}
