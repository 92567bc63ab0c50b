"""What a fitted model knows of its input features: dtype, jumps, categories, missing values."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterable, Optional, Sequence

from zoo.records import ColumnDomain, record

MOST_VALUES = 64
"""Jumps kept for one feature; a forest may have thousands."""


@record
class Feature:
    """One input feature. `dtype` is None where any number will do (then float64 is used).

    `missing` says what the empty string stands for in a text feature: ``"nan"``, ``"none"`` or
    None (itself). `used` is False for a column that the model drops unseen. `levels` are those of a
    column that was a pandas categorical: the source is fed one, and any other value is missing. `boxed`:
    numbers that the source learned as Python objects, and compares with objects only.
    """

    dtype: Optional[str] = None
    domain: ColumnDomain = ColumnDomain()
    missing: Optional[str] = None
    used: bool = True
    levels: Optional[tuple[Any, ...]] = None
    boxed: bool = False


def unknown(count: int) -> list[Feature]:
    """Features of which nothing is known."""
    return [Feature() for _ in range(count)]


def jumps(values: Iterable[Any], dtype: str | None = None) -> Feature:
    """A number whose answer may jump at `values`: thresholds, bin edges, fitted data."""
    import numpy as np

    array = np.unique(np.asarray(list(values), dtype=np.float64))
    array = array[np.isfinite(array)]
    if not len(array):
        return Feature(dtype)
    low, high = float(array[0]), float(array[-1])
    if len(array) > MOST_VALUES:
        array = array[np.linspace(0, len(array) - 1, MOST_VALUES).round().astype(int)]
    span = (high - low) or abs(high) or 1.0
    domain = ColumnDomain(low=low - span / 4, high=high + span / 4, values=tuple(map(float, array)))
    return Feature(dtype, domain)


def merge(features: Sequence[Feature]) -> Feature:
    """What several steps know of the same feature, together."""
    used = [feature for feature in features if feature.used]
    if not used:
        return Feature(used=False)
    merged = used[0]
    for feature in used[1:]:
        merged = _both(merged, feature)
    return merged


def mapped(feature: Feature, function: Any) -> Feature:
    """The fact about an output as a fact about an input: `function` undoes the step on numbers."""
    import numpy as np

    domain = feature.domain
    points = np.array([*domain.values, *(x for x in (domain.low, domain.high) if x is not None)])
    if not len(points):
        return feature
    with np.errstate(all="ignore"):
        back = np.asarray(function(points), dtype=np.float64)
    return Feature(feature.dtype, dataclasses.replace(jumps(back).domain, accepts_nan=domain.accepts_nan))


def ranged(after: Feature, low: float, high: float) -> Feature:
    """`after`, or where that knows no range, the range in which the fitted data lay: nothing jumps there."""
    import numpy as np

    domain = after.domain
    known = domain.low is not None or domain.values or domain.categories or not after.used
    if known or not (np.isfinite(low) and np.isfinite(high) and low < high):
        return after
    return dataclasses.replace(after, domain=dataclasses.replace(domain, low=float(low), high=float(high)))


SPREAD = 3.0
"""Standard deviations on both sides of the mean that are taken for the range of fitted data."""


FADING = ("rbf", "laplacian")
"""Kernels that are 0 far from the fitted points. Others show faults everywhere, and their sums cancel."""


def around(points: Any, spread: Any = None, share: float = 0.25) -> list[Feature]:
    """Ranges about fitted points [S, F] (sparse or not), feature by feature: of the points and, beside them,
    `spread`, or that `share` of what they span. Rows far away show nothing of a centre or a fading kernel.
    """
    import numpy as np

    if not points.shape[0] or points.dtype.kind not in "fiu":
        return unknown(points.shape[1])
    low, high = (_dense(end(axis=0)) for end in (points.min, points.max))
    span = (high - low) * share
    beyond = np.where(span > 0, span, np.maximum(np.abs(low), 1.0) / 4) if spread is None else spread
    ends = np.broadcast_arrays(low - beyond, high + beyond)
    return [ranged(Feature(), *pair) for pair in zip(*ends)]


def _dense(row: Any) -> Any:
    import numpy as np

    return np.asarray(row.toarray() if hasattr(row, "toarray") else row, dtype=np.float64).ravel()


def turning(coef: Any, intercept: Any) -> list[Feature]:
    """Ranges about the points nearest to the origin where ``x @ coef.T + intercept`` is 0; coef is [K, F].

    They hold the rows that are drawn without any knowledge, too; nothing is known where those reach as far.
    """
    import numpy as np

    coef = np.asarray(coef, dtype=np.float64)
    squares = (coef**2).sum(axis=1)
    steps = -np.broadcast_to(np.ravel(intercept), squares.shape) / np.where(squares > 0, squares, np.nan)
    points = steps[:, None] * coef
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points) or np.abs(points).max() <= SPREAD:
        return unknown(coef.shape[1])
    beyond = np.maximum(np.abs(points).max(axis=0), 1.0)
    low, high = points.min(axis=0) - beyond, points.max(axis=0) + beyond
    return [ranged(Feature(), *pair) for pair in zip(np.minimum(low, -SPREAD), np.maximum(high, SPREAD))]


def categories(values: Any) -> Feature:
    """A categorical feature from a fitted ``categories_[i]``: text or numbers, NaN and None apart."""
    import numpy as np

    array = np.asarray(values)
    kept = [item for item in array.tolist() if item is not None and item == item]
    missing = _missing_kind(array.tolist())
    if array.dtype.kind in "OUS" and all(isinstance(item, str) for item in kept):
        reserved = None if "" in kept else missing
        return Feature("string", ColumnDomain(categories=tuple(kept), accepts_nan=False), reserved)
    dtype = _number_kind(array, kept)
    if not all(isinstance(item, (bool, int, float)) for item in kept):
        return Feature(None)
    domain = ColumnDomain(categories=tuple(map(float, kept)), integral=dtype == "int64")
    return Feature(dtype, domain, boxed=array.dtype == object)


def levels(values: Sequence[Any]) -> Feature:
    """A pandas categorical column with these levels, as text or numbers."""
    import numpy as np

    array = np.array(list(values), dtype=object if isinstance(values[0], str) else None)
    fact = categories(array)
    missing = "nan" if fact.dtype == "string" and "" not in values else None
    return dataclasses.replace(fact, missing=missing, levels=tuple(array.tolist()))


def _number_kind(array: Any, kept: list[Any]) -> str:
    if array.dtype.kind == "b" or (kept and all(isinstance(item, bool) for item in kept)):
        return "bool"
    if array.dtype.kind in "iu" or (kept and all(isinstance(item, int) for item in kept)):
        return "float64" if len(kept) < len(array) else "int64"
    return "float32" if array.dtype.name == "float32" else "float64"


def _missing_kind(items: list[Any]) -> str | None:
    if any(item is None for item in items):
        return "none"
    return "nan" if any(item != item for item in items) else None


def _both(a: Feature, b: Feature) -> Feature:
    x, y = a.domain, b.domain
    domain = ColumnDomain(
        low=_pick(min, x.low, y.low),
        high=_pick(max, x.high, y.high),
        values=tuple(sorted({*x.values, *y.values}))[: 2 * MOST_VALUES],
        categories=tuple(dict.fromkeys([*x.categories, *y.categories])),
        texts=tuple(dict.fromkeys([*x.texts, *y.texts])),
        integral=x.integral or y.integral,
    )
    return Feature(a.dtype or b.dtype, domain, a.missing or b.missing, levels=a.levels or b.levels)


def _pick(choose: Any, a: float | None, b: float | None) -> float | None:
    known = [x for x in (a, b) if x is not None]
    return choose(known) if known else None
