"""Rows on the boundary of a decision, found by asking the source.

A saturated classifier answers 0 or 1 for every ordinary row, whatever its weights: only where its
answer turns do wrong weights show. Between two rows with different answers the turning point is
found by bisection, in the input's own floating-point format: for a smooth model that is a row of
doubt, for trees two neighbouring numbers on both sides of a split that is really reached.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Callable, Dict, Iterator, List, Mapping, Optional, Protocol, Tuple

from zoo.records import FeedCase, SourceDescription, record
from zoo.verification.draws import Stream
from zoo.verification.feed_values import InputSpace, cast
from zoo.verification.feeds import FeedMaker, Sizes

if TYPE_CHECKING:
    import numpy as np

    from zoo.tensors import Tensors

PAIRS = 96
"""Pairs of rows that are searched between, where a row is small."""
STEPS = 40
"""Halvings: enough to come down to neighbouring float32 numbers."""
SMALL_ROW = 1024
"""Most elements of a small row; larger ones get `FEW_PAIRS` and `FEW_STEPS`, for each step is a run."""
MANY_PAIRS, MANY_STEPS = 384, 14
"""A second search where a row has at most `TINY_ROW` elements: many places, each found roughly. What a fault
changes close to few of many turning points (one of the rows that neighbours were fitted on) shows there."""
FAR_PAIRS, FEW_ANSWERS = 192, 0.9
"""A third search, between rows far beyond the known range, for any change of an answer, where the different
answers are no more than this share of the rows: the outer ones of the rows that neighbours were fitted on are
told apart only there, and seldom by the label."""
TINY_ROW = 64
FEW_PAIRS, FEW_STEPS = 2, 8
SLOW_STEP = 1.0
"""Seconds for one step from which on a source is searched as if its rows were large."""
BESIDE = (1e-3, -1e-3, 3e-5, -3e-5)
"""Rows are also placed this share of the way beside the turning point."""


Reader = Callable[["np.ndarray"], "np.ndarray"]
Readers = Callable[["Tensors"], Iterator[Tuple[str, Reader]]]
"""Outputs with what to read from each, of answers with one row for each pair."""


class Predict(Protocol):
    """The source that is asked."""

    def __call__(self, feeds: Mapping[str, np.ndarray], *names: str) -> Tensors:
        """Its answers for `feeds`; where there are `names`, at least the outputs that are called so."""
        ...


@record
class Line:
    """Rows `start` and `end` of every input that moves; the others stay as in `fixed`.

    `axes` says which axis of an input holds the rows, for those that have one.
    """

    start: Tensors
    end: Tensors
    fixed: Tensors
    axes: Dict[str, int]
    pairs: int

    def at(self, share: np.ndarray) -> Tensors:
        """One row for each pair, `share` of its way, in the dtype of the input."""
        rows = dict(self.fixed)
        for name, start in self.start.items():
            shape = [1] * start.ndim
            shape[self.axes[name]] = -1
            part = share.reshape(shape)
            rows[name] = cast(start * (1 - part) + self.end[name] * part, str(self.fixed[name].dtype))
        return rows

    def only(self, rows: np.ndarray) -> Line:
        """The same of some pairs."""
        start, end, fixed = (
            {
                name: array.take(rows, self.axes[name]) if name in self.axes else array
                for name, array in part.items()
            }
            for part in (self.start, self.end, self.fixed)
        )
        return Line(start, end, fixed, self.axes, len(rows))

    def joined(self, parts: List[Tensors]) -> Tensors:
        """The rows of all parts behind each other."""
        import numpy as np

        return {
            name: np.concatenate([part[name] for part in parts], self.axes[name])
            if name in self.axes
            else array
            for name, array in self.fixed.items()
        }


def decision_feeds(
    maker: FeedMaker, predict: Predict, description: SourceDescription
) -> Iterator[Tuple[FeedCase, Tensors]]:
    """Rows on both sides of, and beside, the points where the source answers otherwise: two cases for tables.

    Yields nothing where no float input can move, rows cannot be packed, or no answer differs. Where the
    source refuses a row of the search, the ordinary rows of its start: asking for them tells why.
    """
    if maker.batch_axis is None or maker.axes.get(maker.batch_axis):
        return
    wide = maker.row_size() > SMALL_ROW
    line = _line(maker, FEW_PAIRS if wide else PAIRS, "search")
    if line is None:
        return
    slow = not wide and _is_slow(predict, line.fixed)
    if slow:
        wide, line = True, _line(maker, FEW_PAIRS, "search") or line
    rows = _found(line, predict, description, FEW_STEPS if wide else STEPS)
    if rows is not None:
        yield _case(maker, line, rows, "decision"), rows
    turns = rows is not None and rows is not line.fixed
    if turns and not slow and maker.row_size() <= TINY_ROW:
        line = _line(maker, MANY_PAIRS, "many searches") or line
        rows = _found(line, predict, description, MANY_STEPS)
        if rows is not None:
            yield _case(maker, line, rows, "decision-many"), rows
        yield from _far_feeds(maker, predict)


def _far_feeds(maker: FeedMaker, predict: Predict) -> Iterator[Tuple[FeedCase, Tensors]]:
    """Rows where an answer in steps turns far beyond the known range; none where the source refuses such."""
    line = _line(maker, FAR_PAIRS, "far searches", "large")
    rows = None
    if line is not None:
        with suppress(Exception):  # what is refused is a case of the family `large`
            rows = _searched(line, predict, _steps, MANY_STEPS)
        if rows is not None:
            yield _case(maker, line, rows, "decision-far"), rows


def _found(line: Line, predict: Predict, description: SourceDescription, steps: int) -> Optional[Tensors]:
    """The rows of a search; those it started from where the source refused one."""
    try:
        return _searched(line, predict, partial(_readers, description.roles), steps)
    except Exception:  # noqa: BLE001 - a framework's refusal, which the caller meets again and records
        return line.fixed


def _case(maker: FeedMaker, line: Line, rows: Tensors, name: str) -> FeedCase:
    count = max(rows[moving].shape[axis] for moving, axis in line.axes.items())
    return FeedCase(f"{name}-{count}", "decision", count, maker.seed)


def _is_slow(predict: Predict, rows: Tensors) -> bool:
    """Whether the source takes so long for the rows of one step that a long search would cost minutes."""
    begun = time.perf_counter()
    with suppress(Exception):  # a refusal, which the caller meets again and records
        predict(rows)
    return time.perf_counter() - begun > SLOW_STEP


def _searched(line: Line, predict: Predict, readers: Readers, steps: int) -> Optional[Tensors]:
    decides = _decision(line, predict, readers)
    if decides is None:
        return None
    line = line.only(decides.turns)
    low, high = _bisected(line, predict, decides, steps)
    return line.joined([line.at(share) for share in (low, high, *[low + step for step in BESIDE])])


@record
class Decision:
    """What decides, and for each of `turns`, the pairs whose ends differ, on which side an answer is."""

    output: str
    side: Callable[[Tensors], np.ndarray]
    turns: np.ndarray


def _line(maker: FeedMaker, pairs: int, label: str, family: str = "typical") -> Optional[Line]:
    """Half of the pairs differ in everything, the others in one index of the last axis."""
    start = maker.filled(family, Sizes(pairs, 0), label)
    other = maker.filled(family, Sizes(pairs, 0), f"{label} end")
    shapes = {space.spec.name: list(space.spec.shape) for space in maker.spaces}
    axes = {
        name: shape.index(maker.batch_axis) for name, shape in shapes.items() if maker.batch_axis in shape
    }
    moving = [space.spec.name for space in maker.spaces if _moves(space) and space.spec.name in axes]
    if not moving:
        return None
    ends = {name: _one_column(start[name], other[name], maker.seed) for name in moving}
    return Line({name: start[name].astype("float64") for name in moving}, ends, start, axes, pairs)


def _moves(space: InputSpace) -> bool:
    """Whether values between two others are inputs too: floats that are no categories or counts."""
    discrete = space.any(lambda column: column.categories or column.integral)
    return space.is_float and not discrete


def _one_column(start: np.ndarray, other: np.ndarray, seed: int) -> np.ndarray:
    end = other.astype("float64")
    if start.ndim != 2 or start.shape[1] < 2:
        return end
    columns = Stream(seed, "search column").integers((len(start),), 0, start.shape[1] - 1)
    for row in range(0, len(start), 2):
        kept = end[row, columns[row]]
        end[row] = start[row]
        end[row, columns[row]] = kept
    return end


def _decision(line: Line, predict: Predict, readers: Readers) -> Optional[Decision]:
    """By the first of the outputs that turns."""
    import numpy as np

    first, last = predict(line.at(_shares(line, 0.0))), predict(line.at(_shares(line, 1.0)))
    for name, read in readers(_of_rows(first, line.pairs)):
        a, b = read(first[name]), read(last[name])
        turns = np.flatnonzero(a != b) if a.ndim == 1 else np.flatnonzero(np.any(a != b, axis=1))
        if turns.size:
            return Decision(name, _side(name, read, a[turns], b[turns]), turns)
    return None


def _of_rows(answer: Tensors, pairs: int) -> Tensors:
    return {name: array for name, array in answer.items() if array.ndim and len(array) == pairs}


def _readers(roles: Mapping[str, str], rows: Tensors) -> Iterator[Tuple[str, Reader]]:
    """Outputs by how well they tell a decision, each with what to read from it: the label, else the largest
    column, else which end's answer is nearer."""
    for name, array in rows.items():
        if roles.get(name) == "label" and array.ndim == 1:
            yield name, lambda array: array
    for name, array in rows.items():
        if array.dtype.kind == "f" and array.ndim == 2 and array.shape[1] > 1:
            yield name, lambda array: array.argmax(axis=1)
    for name, array in rows.items():
        if array.dtype.kind == "f":
            yield name, _flat
    for name, array in rows.items():
        if array.dtype.kind in "iubU" and array.ndim == 1:
            yield name, lambda array: array


def _steps(rows: Tensors) -> Iterator[Tuple[str, Reader]]:
    """Float outputs that many rows share an answer of, read by which end's is nearer."""
    import numpy as np

    for name, array in rows.items():
        if array.dtype.kind == "f" and len(np.unique(_flat(array), axis=0)) <= FEW_ANSWERS * len(array):
            yield name, _flat


def _flat(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1).astype("float64")


def _side(name: str, read: Reader, a: np.ndarray, b: np.ndarray) -> Callable[[Tensors], np.ndarray]:
    import numpy as np

    def beyond(answer: Tensors) -> np.ndarray:
        """True for each pair whose answer is no longer that of its start."""
        now = read(answer[name])
        if now.ndim == 1:
            return np.asarray(now != a)
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(np.abs(now - a).sum(axis=1) > np.abs(now - b).sum(axis=1))

    return beyond


def _bisected(line: Line, predict: Predict, decides: Decision, steps: int) -> Tuple[np.ndarray, np.ndarray]:
    low, high = _shares(line, 0.0), _shares(line, 1.0)
    for _ in range(steps):
        middle = (low + high) / 2
        turned = decides.side(predict(line.at(middle), decides.output))
        low, high = _where(turned, low, middle), _where(turned, middle, high)
    return low, high


def _shares(line: Line, value: float) -> np.ndarray:
    import numpy as np

    return np.full(line.pairs, value)


def _where(condition: np.ndarray, yes: np.ndarray, no: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.where(condition, yes, no)
