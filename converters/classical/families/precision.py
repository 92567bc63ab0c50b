"""Sums whose terms cancel so far that the order of adding decides the digits that are left.

BLAS and ONNX Runtime add in orders of their own. Where `lost` says that this alone may move an answer
visibly, the source's digits are noise, and its emitter refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.emit import Emitter

MOST_LOST = {"float64": 1e-8, "float32": 3e-5}
"""Relative error by rounding from which on the order of adding shows."""
MOST_ROWS = 200


def some(rows: np.ndarray) -> np.ndarray:
    """At most about `MOST_ROWS` of the fitted rows."""
    return rows[:: max(1, rows.shape[0] // MOST_ROWS)]


def lost(factors: Any, weights: Any, dtype: str, offset: Any = 0.0, sizes: Any = None) -> float:
    """The largest share of a column of ``factors @ weights + offset`` that rounding to `dtype` may move.

    `sizes`: of what the factors were added from, where that cancelled too.
    """
    import numpy as np

    factors, weights = np.asarray(factors, np.float64), np.asarray(weights, np.float64)
    weights = weights.reshape(len(weights), -1)
    terms = np.abs(factors if sizes is None else sizes) @ np.abs(weights)
    sums = np.abs(factors @ weights + offset)
    largest = np.maximum(sums.max(axis=0), 1e-300)
    return float(np.finfo(dtype).eps * np.max(terms.max(axis=0) / largest, initial=0.0))


def demand(writer: Emitter, share: float, most: float, way_out: str) -> None:
    """Refuse where more than `most` of an answer is lost."""
    if share > most:
        raise writer.refuse(
            f"its terms cancel: rounding alone moves its answers by {share:.1g} of their size", way_out
        )
