"""Pipeline, ColumnTransformer, FeatureUnion and "passthrough".

Source: sklearn/pipeline.py, sklearn/compose/_column_transformer.py (1.9).

- Pipeline: each step's transform, then the capability of the last step. ``None`` and
  ``"passthrough"`` are the identity.
- ColumnTransformer: `transformers_` has every selector resolved to what fit found, remainder
  included; the fitted index wins, because a frame is read by name at predict. Joined with
  numpy.hstack (numbers promoted: int64 beside float64 is float64), or into a sparse matrix where
  fit decided so (`sparse_output_`, from sparse_threshold).
- transformer_weights multiply a transformer's output.
- FeatureUnion: every transformer on all of X, side by side; sparse if any part is.
"""

from __future__ import annotations

from typing import Any, Sequence

from converters.classical.columns import Features, Matrix, join, numeric, select
from converters.classical.emit import Emitter, emit, emitter, transform
from converters.classical.facts import Feature, merge, unknown
from converters.classical.releases import column_names


class Pipeline(Emitter):
    """Steps one after the other."""

    @property
    def steps(self) -> list[tuple[str, Any]]:
        return [(name, step) for name, step in self.estimator.steps if not _identity(step)]

    @property
    def width(self) -> int:
        return self._writers()[0].width if self.steps else int(self.estimator.n_features_in_)

    @property
    def reads_texts(self) -> bool:
        return bool(self.steps) and self._writers()[0].reads_texts

    @property
    def keys(self) -> tuple[str, ...]:
        return self._writers()[0].keys if self.steps else ()

    def offers(self, capability: str) -> bool:
        if _identity(self.estimator.steps[-1][1]):
            return capability == "transform"
        return self._writers()[-1].offers(capability)

    def _writers(self) -> list[Emitter]:
        return [emitter(step, self.graph, name) for name, step in self.steps]

    def _last(self, capability: str, X: Features) -> Any:
        for name, step in self.estimator.steps[:-1]:
            X = X if _identity(step) else transform(self.graph, step, X, name)
        name, step = self.estimator.steps[-1]
        return X if _identity(step) else emit(self.graph, step, capability, X, name)

    def transform(self, X: Features) -> Features:
        result: Features = self._last("transform", X)
        return result

    def predict(self, X: Features) -> Any:
        return self._last("predict", X)

    def predict_proba(self, X: Features) -> Any:
        return self._last("predict_proba", X)

    def decision_function(self, X: Features) -> Any:
        return self._last("decision_function", X)

    def predict_log_proba(self, X: Features) -> Any:
        return self._last("predict_log_proba", X)

    def score_samples(self, X: Features) -> Any:
        return self._last("score_samples", X)

    def facts(self) -> list[Feature]:
        writers = self._writers()
        if not writers:
            return []
        known = writers[-1].facts()
        for writer in reversed(writers[:-1]):
            known = writer.facts_before(known)
        return known

    def facts_before(self, after: Sequence[Feature]) -> list[Feature]:
        known = list(after)
        for writer in reversed(self._writers()):
            known = writer.facts_before(known)
        return known


class ColumnTransformer(Emitter):
    """Column groups, each through a transformer of its own."""

    def transform(self, X: Features) -> Features:
        parts = [self._part(X, *group) for group in self._groups()]
        return join(self.graph, parts, bool(self.estimator.sparse_output_))

    def _part(self, X: Features, name: str, step: Any, indices: list[int], flat: bool) -> Features:
        chosen = select(self.graph, X, indices, flat)
        if not _identity(step):
            chosen = transform(self.graph, step, chosen, name)
        return _weighted(self.graph, chosen, (self.estimator.transformer_weights or {}).get(name))

    def _groups(self) -> list[tuple[str, Any, list[int], bool]]:
        groups = []
        for name, step, columns in self.estimator.transformers_:
            indices = self._indices(name, columns)
            if indices and not (isinstance(step, str) and step == "drop"):
                flat = isinstance(columns, str) or _is_integer(columns)
                groups.append((name, step, indices, flat))
        return groups

    def _indices(self, name: str, columns: Any) -> list[int]:
        known = getattr(self.estimator, "_transformer_to_input_indices", {})
        if name in known:
            return [int(i) for i in known[name]]
        return _resolved(columns, list(column_names(self.estimator)), self.width)

    def facts(self) -> list[Feature]:
        return self.facts_before([])

    def facts_before(self, after: Sequence[Feature]) -> list[Feature]:
        found: list[list[Feature]] = [[] for _ in range(self.width)]
        for name, step, indices, _ in self._groups():
            behind = self._behind(name, after)
            known = self._group_facts(name, step, behind, len(indices))
            for index, fact in zip(indices, known):
                found[index].append(fact)
        return [merge(facts) if facts else Feature(used=False) for facts in found]

    def _behind(self, name: str, after: Sequence[Feature]) -> list[Feature]:
        span = getattr(self.estimator, "output_indices_", {}).get(name)
        return list(after[span]) if span is not None else []

    def _group_facts(self, name: str, step: Any, behind: list[Feature], count: int) -> list[Feature]:
        if not _identity(step):
            return emitter(step, self.graph, name).facts_before(behind)
        return behind if len(behind) == count else unknown(count)


class FeatureUnion(Emitter):
    """Transformers side by side over the same input."""

    def _members(self) -> list[tuple[str, Any, float | None]]:
        weights = self.estimator.transformer_weights or {}
        return [(n, t, weights.get(n)) for n, t in self.estimator.transformer_list if t != "drop"]

    def _writers(self) -> list[Emitter]:
        return [emitter(step, self.graph, name) for name, step, _ in self._members() if not _identity(step)]

    @property
    def width(self) -> int:
        writers = self._writers()
        return max(writer.width for writer in writers) if writers else int(self.estimator.n_features_in_)

    @property
    def reads_texts(self) -> bool:
        return any(writer.reads_texts for writer in self._writers())

    def transform(self, X: Features) -> Features:
        parts = []
        for name, step, weight in self._members():
            part = X if _identity(step) else transform(self.graph, step, X, name)
            parts.append(_weighted(self.graph, part, weight))
        sparse = any(isinstance(part, Matrix) and part.sparse for part in parts)
        return join(self.graph, parts, sparse)

    def facts(self) -> list[Feature]:
        return self.facts_before([])

    def facts_before(self, after: Sequence[Feature]) -> list[Feature]:
        known, start = [], 0
        for name, step, _ in self._members():
            count = self._output_count(step)
            behind = list(after[start : start + count])
            start += count
            if _identity(step):
                known.append(behind or unknown(self.width))
            else:
                known.append(emitter(step, self.graph, name).facts_before(behind))
        return [merge(facts) for facts in zip(*known)]

    def _output_count(self, step: Any) -> int:
        """The columns a member gives; 0 where it cannot tell."""
        if _identity(step):
            return self.width
        try:
            return len(step.get_feature_names_out())
        except (AttributeError, ValueError):
            return 0


def _identity(step: Any) -> bool:
    if step is None or (isinstance(step, str) and step == "passthrough"):
        return True
    # ColumnTransformer replaces "passthrough" by a FunctionTransformer without a function.
    return type(step).__name__ == "FunctionTransformer" and step.func is None


def _weighted(graph: Any, X: Features, weight: float | None) -> Features:
    if weight is None:
        return X
    matrix = numeric(graph, X)
    return Matrix(graph.mul(matrix.value, float(weight)), matrix.width, matrix.sparse)


def _is_integer(columns: Any) -> bool:
    return isinstance(columns, int) and not isinstance(columns, bool)


def _resolved(columns: Any, names: list[str], width: int) -> list[int]:
    import numpy as np

    everything = np.arange(width)
    if isinstance(columns, slice) and isinstance(columns.start or columns.stop, str):
        start = names.index(columns.start) if columns.start else None
        stop = names.index(columns.stop) + 1 if columns.stop else None
        return [int(i) for i in everything[start:stop]]
    picked = np.atleast_1d(columns) if not isinstance(columns, slice) else everything[columns]
    if picked.dtype.kind in "OU":
        return [names.index(name) for name in picked]
    return [int(i) for i in everything[picked]]


EMITTERS = {
    "sklearn.pipeline.Pipeline": Pipeline,
    "sklearn.compose.ColumnTransformer": ColumnTransformer,
    "sklearn.pipeline.FeatureUnion": FeatureUnion,
}
