"""Labels, text and integers: equal or not, and whether a difference lies inside the rounding noise.

A classifier's label is an argmax. Where the two best scores of the source are closer than the error
that the scores may have, another label is no error of its own: the flip is counted apart. Where
source and graph both have an exact tie, nothing was rounded, and another label is another rule.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Optional

from zoo.records import record

if TYPE_CHECKING:
    import numpy as np

    from zoo.verification.tolerances import Limit


@record
class ScorePair:
    """The scores that a label was decided by, from both sides; `threshold` splits a single column."""

    expected: np.ndarray
    actual: np.ndarray
    limit: Limit
    threshold: float = 0.0

    def by_label(self, labels: np.ndarray) -> Optional[ScorePair]:
        """One row of scores for each label; of several outputs, each is decided by a column of its own.

        None where there is neither.
        """
        if self.actual.shape != self.expected.shape:
            return None
        if len(self.expected) == labels.size:
            return self
        if self.expected.shape != labels.shape:
            return None
        return replace(self, expected=self.expected.reshape(-1, 1), actual=self.actual.reshape(-1, 1))


@record
class Flips:
    """Elements that differ: all, those inside the noise, and the first one outside it.

    `tied` are indices that stand in another order at values that are equal: no order is right there.
    """

    rows: int
    different: int
    excused: int
    first: Optional[int] = None
    tied: int = 0

    @property
    def real(self) -> int:
        return self.different - self.excused - self.tied


@record
class Reasons:
    """What may excuse a difference: the scores that labels were decided by, the values that indices point
    to, and where the source itself answered otherwise when its inputs were moved by one rounding."""

    scores: Optional[ScorePair] = None
    ranked: Optional[ScorePair] = None
    unstable: Optional[np.ndarray] = None


def find_flips(expected: np.ndarray, actual: np.ndarray, reasons: Reasons) -> Flips:
    """Compare labels, text or integers of one shape element by element.

    A difference is inside the noise where the scores nearly tie (see `ScorePair.by_label`), where indices
    of a sorted list point to values that nearly tie, or in a row in which the source itself is unstable.
    """
    import numpy as np

    differs = np.flatnonzero((expected != actual).reshape(-1))
    if not differs.size:
        return Flips(expected.size, 0, 0)
    excused = np.zeros(differs.size, dtype=bool)
    tied = excused
    scores = reasons.scores and reasons.scores.by_label(expected)
    if scores is not None:
        excused = excused | near_ties(scores, differs)
    if reasons.unstable is not None and expected.ndim:
        rows = np.asarray(reasons.unstable.reshape(len(reasons.unstable), -1).any(axis=1))
        excused = excused | rows[differs // (expected.size // len(expected))]
    if reasons.ranked is not None:
        exact, near = tied_indices(expected, actual, reasons.ranked)
        tied, excused = exact.reshape(-1)[differs], excused | near.reshape(-1)[differs]
    real = differs[~(excused | tied)]
    first = int(real[0]) if real.size else None
    return Flips(expected.size, differs.size, int((excused & ~tied).sum()), first, int(tied.sum()))


def tied_indices(
    expected: np.ndarray, actual: np.ndarray, values: ScorePair
) -> tuple[np.ndarray, np.ndarray]:
    """Which indices of a sorted list (TopK, a sort) may differ: at equal values, and at nearly equal ones.

    `values` are what the indices point to, in the same shape. Among values that tie, both sides must name
    the same indices, in whatever order; only ties with what was cut off may name others. Rows are those of
    the first axis.
    """
    import numpy as np

    exact, near = np.zeros(expected.shape, dtype=bool), np.zeros(expected.shape, dtype=bool)
    rows = [()] if expected.ndim < 2 else [(i,) for i in np.flatnonzero(_rows_differ(expected, actual))]
    for row in rows:
        v = np.asarray(values.expected[row], dtype=np.float64).reshape(-1)
        slack = 2 * values.limit.of(v, None)
        for group in _groups(v, slack):
            if _interchangeable(expected[row].reshape(-1), actual[row].reshape(-1), (v, group)):
                target = exact if np.all(v[group] == v[group[0]]) else near
                target[row].reshape(-1)[group] = True
    return exact, near


def _rows_differ(expected: np.ndarray, actual: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.asarray((expected != actual).reshape(len(expected), -1).any(axis=1))


def _groups(v: np.ndarray, slack: np.ndarray) -> list[np.ndarray]:
    """Places whose values tie with their next, as groups of at least two."""
    import numpy as np

    order = np.argsort(v, kind="stable")
    apart = np.flatnonzero(~(np.diff(v[order]) <= slack[order][1:])) + 1
    return [group for group in np.split(order, apart) if len(group) > 1]


def _interchangeable(e: np.ndarray, a: np.ndarray, tie: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether both sides name the same indices among values that tie, or the tie reaches the list's end."""
    import numpy as np

    v, group = tie
    if np.array_equal(np.sort(e[group]), np.sort(a[group])):
        return True
    at_the_cut = v[group].min() == v.min() or v[group].max() == v.max()
    return bool(at_the_cut and len(np.unique(a)) == len(a))


def near_ties(scores: ScorePair, rows: np.ndarray) -> np.ndarray:
    """Whether the source's margin at each row is one that the allowed error of two scores can turn."""
    import numpy as np

    margin, top = _margins(scores.expected[rows], scores.threshold)
    other, _ = _margins(scores.actual[rows], scores.threshold)
    both_tied = (margin == 0) & (other == 0)
    return np.asarray((margin <= 2 * scores.limit.of(top, None)) & ~both_tied)


def _margins(scores: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The distance between the best two columns (of one column: to the threshold), and the best."""
    import numpy as np

    table = np.asarray(scores, dtype=np.float64).reshape(len(scores), -1)
    if table.shape[1] < 2:
        return np.abs(table[:, 0] - threshold), table[:, 0]
    best = np.partition(table, table.shape[1] - 2, axis=1)[:, -2:]
    return best[:, 1] - best[:, 0], best[:, 1]


def top_agreement(expected: np.ndarray, actual: np.ndarray, k: int) -> Optional[float]:
    """Share of rows whose `k` best columns are the same set; None unless both are tables of more."""
    import numpy as np

    if expected.ndim != 2 or expected.shape != actual.shape or expected.shape[1] <= k or not len(expected):
        return None
    best = [np.sort(np.argpartition(-table, k - 1, axis=1)[:, :k], axis=1) for table in (expected, actual)]
    return float(np.mean(np.all(best[0] == best[1], axis=1)))


def plain(value: Any) -> Any:
    """A numpy scalar as what JSON can say; floats that are not finite become text."""
    item = value.item() if hasattr(value, "item") else value
    if isinstance(item, float) and (item != item or item in (float("inf"), float("-inf"))):
        return str(item)
    return item.decode("utf-8", "replace") if isinstance(item, bytes) else item
