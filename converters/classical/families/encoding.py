"""OneHotEncoder and OrdinalEncoder.

Source: sklearn/preprocessing/_encoders.py (1.9).

- comparison: text by equality, numbers by equality after numpy's promotion (1 == 1.0, -0.0 == 0.0),
  NaN equals NaN, None equals None. In the graph a missing text is the empty string.
- infrequent categories share one code (`_default_to_infrequent_mappings`), dropped ones have none.
- unseen, OneHotEncoder: ``ignore`` gives zeros, ``infrequent_if_exist`` and ``warn`` the infrequent
  column where there is one, else zeros; ``error`` makes the source raise (the graph gives zeros).
- unseen, OrdinalEncoder: `unknown_value`; ``error`` makes the source raise (the graph gives NaN, or
  -1 for integers).
- missing, OrdinalEncoder: `encoded_missing_value` where NaN or None was a category.
- output: `dtype` of the encoder, float64 by default; sparse unless sparse_output=False.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, columns
from converters.classical.emit import Emitter
from converters.classical.facts import Feature, categories
from converters.classical.releases import dropped_categories, gives_sparse, one_hot_widths

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value


def encoded(graph: Graph, x: Value, known: Any, codes: np.ndarray, unknown: float) -> Value:
    """codes[i] where x equals the fitted category known[i], else `unknown`; x and result [N, 1]."""
    import numpy as np

    items = np.asarray(known).tolist()
    if x.dtype == "string":
        return idioms.lookup(graph, x, _text_keys(graph, items), codes, unknown)
    if any(isinstance(item, str) for item in items):
        raise graph.refuse(f"text categories {items[:3]} for a column of {x.dtype}")
    numbers = [np.nan if item is None else item for item in items]
    whole = x.dtype in ("bool", "int64", "int32") and all(float(n).is_integer() for n in numbers)
    dtype = "int64" if whole else "float64"
    keys = np.array([int(n) for n in numbers] if whole else numbers, dtype=dtype)
    return idioms.lookup(graph, graph.cast(x, dtype), keys, codes, unknown)


def _text_keys(graph: Graph, items: list[Any]) -> list[str]:
    missing = [i for i, item in enumerate(items) if item is None or item != item]
    texts = ["" if i in missing else item for i, item in enumerate(items)]
    if not all(isinstance(item, str) for item in texts):
        raise graph.refuse(f"categories that are not all text for a column of text: {items[:3]}")
    if len(set(texts)) < len(texts):
        raise graph.refuse(
            "a column whose categories hold both a missing value and the empty string, or NaN and None",
            hint="ONNX has no missing text: replace missing values by a word before the encoder.",
        )
    return texts


class Encoder(Emitter):
    def facts(self) -> list[Feature]:
        dates = [i for i, known in enumerate(self.estimator.categories_) if known.dtype.kind in "mM"]
        if dates:
            raise self.refuse(
                f"feature {dates[0]} has dates as categories, of dtype "
                f"{self.estimator.categories_[dates[0]].dtype}; ONNX has no dates",
                "Fit it on the column as int64 (column.astype('int64')) or as text.",
            )
        return [categories(known) for known in self.estimator.categories_]

    def grouped(self, index: int) -> np.ndarray:
        """The code of each category of a feature once infrequent ones are grouped."""
        import numpy as np

        codes = np.arange(len(self.estimator.categories_[index]))
        mapping = self._infrequent(index)
        if mapping is None:
            return codes
        # OrdinalEncoder leaves a missing category out of the mapping: it keeps its place, the last.
        return np.append(mapping, codes[len(mapping) :])[codes]

    def _infrequent(self, index: int) -> Any:
        if not getattr(self.estimator, "_infrequent_enabled", False):
            return None
        return self.estimator._default_to_infrequent_mappings[index]


class OneHotEncoder(Encoder):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        dtype = str(np.dtype(self.estimator.dtype))
        parts = []
        widths = one_hot_widths(self.estimator)
        for index, column in enumerate(columns(self.graph, X)):
            if widths[index]:
                known = self.estimator.categories_[index]
                codes = encoded(self.graph, column.value, known, self.codes(index), self.unknown_code(index))
                parts.append(idioms.one_hot(self.graph, codes, widths[index], dtype))
        if not parts:
            return Matrix(idioms.broadcast_rows(self.graph, np.zeros(0, dtype)), 0)
        return Matrix(idioms.concat(self.graph, parts), sum(widths), gives_sparse(self.estimator))

    def codes(self, index: int) -> np.ndarray:
        """The output column of each category of a feature, -1 for a dropped one."""
        return without_dropped(self.grouped(index), self._dropped(index))

    def unknown_code(self, index: int) -> int:
        """The output column of unseen values of a feature, -1 for none."""
        lenient = self.estimator.handle_unknown in ("infrequent_if_exist", "warn")
        infrequent = (
            self.estimator._infrequent_indices[index] if self._infrequent(index) is not None else None
        )
        if not lenient or infrequent is None:
            return -1
        return int(self.codes(index)[infrequent[0]])

    def _dropped(self, index: int) -> int | None:
        dropped = dropped_categories(self.estimator)
        return None if dropped is None or dropped[index] is None else int(dropped[index])


class OrdinalEncoder(Encoder):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        dtype = np.dtype(self.estimator.dtype)
        parts = []
        for index, column in enumerate(columns(self.graph, X)):
            known = self.estimator.categories_[index]
            value = encoded(self.graph, column.value, known, self.codes(index), self._unknown())
            parts.append(self.graph.cast(value, str(dtype)))
        return Matrix(idioms.concat(self.graph, parts), len(parts))

    def codes(self, index: int) -> np.ndarray:
        """The float64 code of each category of a feature, missing ones as the encoder encodes them."""
        import numpy as np

        codes = self.grouped(index).astype("float64")
        missing = getattr(self.estimator, "_missing_indices", {}).get(index)
        if missing is not None:
            codes[missing] = getattr(self.estimator, "encoded_missing_value", np.nan)
        return codes

    def _unknown(self) -> float:
        import numpy as np

        if self.estimator.handle_unknown == "use_encoded_value":
            return float(self.estimator.unknown_value)
        return float("nan") if np.dtype(self.estimator.dtype).kind == "f" else -1.0


def without_dropped(codes: np.ndarray, dropped: int | None) -> np.ndarray:
    """Codes without a dropped category: those above move down, the dropped one is -1."""
    import numpy as np

    if dropped is None:
        return codes.astype(np.int64)
    moved = np.where(codes > dropped, codes - 1, codes)
    return np.where(codes == dropped, -1, moved).astype(np.int64)


EMITTERS = {
    "sklearn.preprocessing.OneHotEncoder": OneHotEncoder,
    "sklearn.preprocessing.OrdinalEncoder": OrdinalEncoder,
}
