"""Labels, text and integers: equal or not, and whether a difference lies inside the rounding noise.

A classifier's label is an argmax. Where the two best scores of the source are closer than the error
that the scores may have, another label is no error of its own: the flip is counted apart. Where
source and graph both have an exact tie, nothing was rounded, and another label is another rule.
"""

from __future__ import annotations

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

    def fits(self, labels: np.ndarray) -> bool:
        """Whether there is one label for each row of scores."""
        return len(self.expected) == labels.size and self.actual.shape == self.expected.shape


@record
class Flips:
    """Elements that differ: all, those inside the noise, and the first one outside it."""

    rows: int
    different: int
    excused: int
    first: Optional[int] = None

    @property
    def real(self) -> int:
        return self.different - self.excused


def find_flips(
    expected: np.ndarray, actual: np.ndarray, scores: Optional[ScorePair], unstable: Optional[np.ndarray]
) -> Flips:
    """Compare labels, text or integers of one shape element by element.

    A difference is inside the noise where the scores nearly tie (one label for each row), or in a row
    where the source itself answered otherwise when its inputs were moved by one rounding (`unstable`).
    """
    import numpy as np

    differs = np.flatnonzero((expected != actual).reshape(-1))
    if not differs.size:
        return Flips(expected.size, 0, 0)
    excused = np.zeros(differs.size, dtype=bool)
    if scores is not None and scores.fits(expected):
        excused |= near_ties(scores, differs)
    if unstable is not None and expected.ndim:
        rows = np.asarray(unstable.reshape(len(unstable), -1).any(axis=1))
        excused |= rows[differs // (expected.size // len(expected))]
    real = differs[~excused]
    return Flips(expected.size, differs.size, int(excused.sum()), int(real[0]) if real.size else None)


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
