"""The source's own rounding noise, measured: the unit in which the errors of a graph are judged.

A float32 network and its conversion add the same numbers in another order, so they differ by rounding;
by how much depends on the model. Two measurements tell. Where the converter can run its model in
float64 (`predict_precise`), the noise is the distance between both answers. Else every float input is
moved by one unit in the last place, up or down at random, twice: what that does to the answer is what
one rounding at the entrance does. Measured on networks with random weights, the largest error of ONNX
Runtime was 1 to 14 times the root mean square of either (``docs/verification.md``).

A float64 answer may have been computed in float32 all the same: fed the same numbers in float64 such a
source answers otherwise, and its graph is judged in units of float32. Rows that lie where an answer turns
are moved more often, to tell what jumps (a vote is lost, or not) from what is noisy.

Trees have no such noise: where the source names values at which its answer may jump, it is
compared by dtype, and inputs that are whole numbers or categories are never moved.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional, Protocol

from zoo.records import SourceDescription
from zoo.tensors import save_tensors
from zoo.verification.draws import Stream
from zoo.verification.feed_values import InputSpace
from zoo.verification.feeds import input_spaces
from zoo.verification.tolerances import PERTURBATION

if TYPE_CHECKING:
    import numpy as np

    from zoo.tensors import Tensors

FLOAT64 = "float64"
REPEATS = 2
REPEATS_ON_THE_LINE = 12
"""Of rows that were placed where the answer turns: each time about half of what can turn does."""
WIDE_STEP = 4.0
"""Units in the last place by which all repeats behind the first two move: a graph whose roundings add up to
more than one at the entrance turns where that does not."""
FAR = 2.0**23
"""Roundings that are as much as what is rounded."""
METHOD_FILE = "method"
ARITHMETIC_FILE = "arithmetic"
COARSE = 1e-12
"""Relative size of differences that float64 arithmetic does not make."""
COARSE_SHARE = 0.05
"""Where more elements than this differ by more, they are no jumps."""


class PredictingConverter(Protocol):
    """The part of a converter that is needed; it may also have ``predict_precise``."""

    def predict(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors: ...


class NoiseMeter:
    """Measures the noise of one model, case by case; `method` says how, None where it cannot."""

    def __init__(self, converter: PredictingConverter, model: Any, description: SourceDescription) -> None:
        self._converter = converter
        self._model = model
        self._spaces = [space for space in input_spaces(description) if _moves(space)]
        jumps = any(column.values for domain in description.domains for column in domain.columns)
        self.method: Optional[str] = None
        self.arithmetic: Optional[str] = None
        """``"float32"`` where float64 answers are known to be computed in that."""
        if jumps:
            return
        if hasattr(converter, "predict_precise"):
            self.method = FLOAT64
        elif self._spaces:
            self.method = PERTURBATION

    def noise(self, feeds: Tensors, answer: Tensors, repeats: int = REPEATS) -> Optional[Tensors]:
        """Absolute noise of every float output, in its shape; None where it cannot be measured.

        With `REPEATS_ON_THE_LINE`, what jumps is told from what is noisy: a jump is negative.
        """
        if self.method == FLOAT64:
            precise = self._converter.predict_precise(self._model, feeds)  # type: ignore[attr-defined]
            if precise is not None:
                return _largest([_distances(answer, [precise], [1.0]), *self._near_silence(feeds)])
            self.method = PERTURBATION if self._spaces else None
        if self.method is None:
            return None
        steps = [1.0 if turn < REPEATS else WIDE_STEP for turn in range(repeats)]
        moved = [self._moved(feeds, turn, step) for turn, step in enumerate(steps)]
        self.arithmetic = self.arithmetic or self._arithmetic(feeds, answer)
        return _distances(answer, [self._converter.predict(self._model, feeds) for feeds in moved], steps)

    def _near_silence(self, feeds: Tensors) -> Iterator[Tensors]:
        """Where all inputs are zero: the noise of rows a thousandth of the range beside them.

        Of zeros a source may be right to the last bit because all cancels, which a graph that adds in another
        order does not share, and normalisation makes its rest a thousandfold.
        """
        if not self._spaces or any(feeds[space.spec.name].any() for space in self._spaces):
            return
        for turn in range(REPEATS):
            near = self._moved(feeds, turn, FAR)
            precise = self._converter.predict_precise(self._model, near)  # type: ignore[attr-defined]
            if precise is not None:
                yield _distances(self._converter.predict(self._model, near), [precise], [1.0])

    def _arithmetic(self, feeds: Tensors, answer: Tensors) -> Optional[str]:
        """A source that is fed float32 may compute in it, and give its answer as float64 all the same.

        It is fed the same numbers as float64: what then differs is the rounding of float32.
        """
        import numpy as np

        doubtful = [name for name, array in answer.items() if array.dtype == np.float64]
        if not doubtful or not any(array.dtype == np.float32 for array in feeds.values()):
            return None
        wide = {n: a.astype(np.float64) if a.dtype == np.float32 else a for n, a in feeds.items()}
        try:
            precise = self._converter.predict(self._model, wide)
        except Exception:  # noqa: BLE001 - many a source takes float32 and nothing else
            return None
        return "float32" if any(_is_coarse(answer[name], precise[name]) for name in doubtful) else None

    def write(self, folder: Path, name: str, feeds: Tensors, answer: Tensors, repeats: int = REPEATS) -> None:
        """Measure one case and write it as ``folder/noise/name``; nothing where it cannot be measured."""
        noise = self.noise(feeds, answer, repeats)
        if noise is None or self.method is None:
            return
        (folder / "noise").mkdir(exist_ok=True)
        save_tensors(folder / "noise" / name, noise)
        (folder / "noise" / METHOD_FILE).write_text(self.method, encoding="utf-8")
        if self.arithmetic is not None:
            (folder / "noise" / ARITHMETIC_FILE).write_text(self.arithmetic, encoding="utf-8")

    def _moved(self, feeds: Tensors, turn: int, step: float) -> Tensors:
        import numpy as np

        moved = dict(feeds)
        for space in self._spaces:
            array = feeds[space.spec.name]
            up = Stream(turn, "noise", space.spec.name).integers(array.shape, 0, 1).astype(bool)
            beside = _beside(array, up, space, step) if array.any() else _off_zero(array, up, space, step)
            free = _movable(space, array) & _inside(space, beside, array)
            moved[space.spec.name] = np.where(free, beside, array)
        return moved


def _moves(space: InputSpace) -> bool:
    return space.is_float and space.any(_is_continuous)


def _is_continuous(column: Any) -> bool:
    return not (column.categories or column.integral)


def _movable(space: InputSpace, array: np.ndarray) -> np.ndarray:
    """True where an element may be moved; single zeros stay, for the next number is no rounding of zero."""
    import numpy as np

    columns = space.domain.columns
    free = np.array([_is_continuous(column) for column in columns])
    wide = free if array.ndim and array.shape[-1] == len(columns) else np.array(bool(free.all()))
    return np.asarray(((array != 0) | ~array.any()) & np.isfinite(array) & wide)


def _inside(space: InputSpace, moved: np.ndarray, array: np.ndarray) -> np.ndarray:
    """Where moving does not leave the known range: a source may refuse what lies beyond it."""
    import numpy as np

    columns = space.domain.columns
    low = np.array([-np.inf if column.low is None else column.low for column in columns])
    high = np.array([np.inf if column.high is None else column.high for column in columns])
    if not array.ndim or array.shape[-1] != len(columns):
        low, high = low.min(), high.max()
    left = ((array >= low) & (moved < low)) | ((array <= high) & (moved > high))
    return np.asarray(~left)


def _beside(array: np.ndarray, up: np.ndarray, space: InputSpace, steps: float) -> np.ndarray:
    """`steps` times the way to the next float32 number (float16 for float16): the graph computes in that.

    Moved by no less than half a rounding of the range: behind the entrance small numbers meet biases and
    constants of the usual size, and are rounded as those are.
    """
    import numpy as np

    kind = np.float16 if array.dtype == np.float16 else np.float32
    with np.errstate(over="ignore", invalid="ignore"):
        short = array.astype(kind)
        step = np.nextafter(short, np.where(up, kind(np.inf), kind(-np.inf)).astype(kind)) - short
        least = kind(_reach(space) * float(np.finfo(kind).eps) / 2)
        step = np.where(np.abs(step) < least, np.where(up, kind(1), kind(-1)) * least, step)
        step = step.astype(array.dtype) * array.dtype.type(steps)
    return np.asarray((array + step).astype(array.dtype))


def _reach(space: InputSpace) -> float:
    """The largest magnitude of the known range, else 1."""
    return max(max(abs(c.low or 0.0), abs(c.high or 0.0)) for c in space.domain.columns) or 1.0


def _off_zero(array: np.ndarray, up: np.ndarray, space: InputSpace, steps: float) -> np.ndarray:
    """Where all is zero: `steps` roundings of a thousandth of the range, as in rows of the family ``small``,
    or at most all of that thousandth.

    Silence is where a network may be least steady, and zeros show nothing of it.
    """
    import numpy as np

    positive = all(column.low is not None and column.low >= 0 for column in space.domain.columns)
    step = 1e-3 * _reach(space) * min(1.0, steps * (2.0**-10 if array.dtype == np.float16 else 2.0**-23))
    return np.where(up | positive, step, -step).astype(array.dtype)


def _is_coarse(answer: np.ndarray, precise: np.ndarray) -> bool:
    """Whether elements differ by more than float64 rounds, and too many for jumps."""
    import numpy as np

    if answer.shape != precise.shape or not answer.size:
        return False
    with np.errstate(invalid="ignore"):
        gap = np.abs(answer - precise.astype(np.float64))
    scale = float(np.abs(answer[np.isfinite(answer)]).max(initial=0.0))
    return bool(np.mean(gap > COARSE * scale) > COARSE_SHARE)


def _distances(answer: Tensors, others: list[Tensors], steps: list[float]) -> Tensors:
    """The largest distance of each element over all other answers, per step; NaN against NaN is none.

    Of text, labels and indices: 1 where any other answer is another one, else 0.
    """
    import numpy as np

    noise: Tensors = {}
    for name, array in answer.items():
        if any(other[name].shape != array.shape for other in others):
            continue
        if array.dtype.kind != "f":
            changed = np.any([other[name] != array for other in others], axis=0)
            noise[name] = changed.astype(np.float32)
            continue
        base = array.astype(np.float64)
        with np.errstate(invalid="ignore"):
            found = [np.abs(other[name].astype(np.float64) - base) for other in others]
        gaps = np.nan_to_num(np.array(found), nan=0.0, posinf=0.0)
        values = _summarised(gaps, np.array(steps).reshape(-1, *[1] * base.ndim))
        most = np.finfo(np.float32).max
        noise[name] = np.clip(values, -most, most).astype(np.float32)
    return noise


def _largest(measured: list[Tensors]) -> Tensors:
    """The largest of several measurements of each element."""
    import numpy as np

    return {
        name: np.max([noise[name] for noise in measured if name in noise], axis=0) for name in measured[0]
    }


JUMP = 1000.0
"""Noise this many times the usual is a jump: something changed places."""
BETWEEN = (0.05, 0.5)
"""Of many measurements of what is smooth some lie between these shares of the largest; of a jump none."""


def _summarised(gaps: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """One number for each element from several measurements, the first axis of `gaps`."""
    import numpy as np

    noise = np.asarray((gaps / steps).max(axis=0))
    usual, rows = float(np.median(noise)) if noise.size else 0.0, _of_rows(gaps.max(axis=0))
    jumped = (rows > JUMP * usual) & (rows > 0)
    if len(gaps) < REPEATS_ON_THE_LINE:
        return np.where(jumped & (usual > 0), np.maximum(noise, rows), noise)
    wide = gaps[REPEATS:]
    largest = wide.max(axis=0)
    smooth = ((wide > BETWEEN[0] * largest) & (wide < BETWEEN[1] * largest)).any(axis=0)
    return np.where(jumped & ~(smooth & (noise > JUMP * usual)), -rows, noise)


def _of_rows(values: np.ndarray) -> np.ndarray:
    """The largest of each row (of the first axis): where something jumped, all of it may jump next time."""
    import numpy as np

    if values.ndim < 2 or not values.size:
        return values
    rows = values.reshape(len(values), -1).max(axis=1).reshape(-1, *[1] * (values.ndim - 1))
    return np.broadcast_to(rows, values.shape)
