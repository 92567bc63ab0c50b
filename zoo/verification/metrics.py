"""Error statistics of one output, gathered in pieces: never more than one piece in float64 at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

if TYPE_CHECKING:
    import numpy as np

    from zoo.verification.tolerances import Limit

PIECE = 1 << 20
"""Elements looked at together."""

_BINS_PER_OCTAVE = 8
_LOWEST, _HIGHEST = -160, 160
ULP_BINS = 24
_MOST = 1.7e308  # JSON has no infinity


class ErrorStatistics:
    """Differences between `expected` and `actual` under a limit; both of one shape, numeric.

    Elements that are not finite must agree exactly and count in nothing else.
    """

    def __init__(self, limit: Limit) -> None:
        import numpy as np

        self.limit = limit
        self.count = self.finite = self.over = self.unstable = self.nan_mismatch = self.inf_mismatch = 0
        self.max_abs = self.max_rel = self.used = 0.0
        self.low, self.high = float("inf"), float("-inf")
        self.worst: Optional[int] = None
        self.odd: Optional[int] = None
        """Flat index of the first NaN or infinity that the other side does not have."""
        self.ulp_max = 0.0
        self._sums = np.zeros(5)
        self._errors = np.zeros((_HIGHEST - _LOWEST) * _BINS_PER_OCTAVE + 1, dtype=np.int64)
        self._ulps = np.zeros(ULP_BINS, dtype=np.int64)

    def add_all(self, expected: np.ndarray, actual: np.ndarray, noise: Optional[np.ndarray] = None) -> None:
        """Go through both in pieces; memory-mapped arrays stay on disk."""
        flat = (expected.reshape(-1), actual.reshape(-1), None if noise is None else noise.reshape(-1))
        for start in range(0, flat[0].size, PIECE):
            piece = slice(start, start + PIECE)
            self._add(flat[0][piece], flat[1][piece], None if flat[2] is None else flat[2][piece], start)

    def _add(self, expected: np.ndarray, actual: np.ndarray, noise: Optional[np.ndarray], start: int) -> None:
        import numpy as np

        e, a = self._narrowed(expected), np.asarray(actual, dtype=np.float64)
        self.count += e.size
        usable = self._agreeing(e, a, start)
        if not usable.any():
            return
        where = np.flatnonzero(usable)
        e, a = e[where], a[where]
        bound = self.limit.of(e, None if noise is None else noise[where].astype(np.float64))
        self._gather(e, a, bound, where + start)

    def _narrowed(self, expected: np.ndarray) -> np.ndarray:
        """In float64, but infinite where the coarser format of the two overflows."""
        import numpy as np

        e = np.asarray(expected, dtype=np.float64)
        beyond = np.abs(e) > self.limit.precision.largest * (1 + self.limit.precision.epsilon / 4)
        return np.where(beyond & np.isfinite(e), np.copysign(np.inf, e), e) if beyond.any() else e

    def _agreeing(self, e: np.ndarray, a: np.ndarray, start: int) -> np.ndarray:
        import numpy as np

        nan_e, nan_a = np.isnan(e), np.isnan(a)
        inf_e, inf_a = np.isinf(e), np.isinf(a)
        bad_inf = (inf_e | inf_a) & (e != a) & ~nan_e & ~nan_a
        self.nan_mismatch += int(np.sum(nan_e != nan_a))
        self.inf_mismatch += int(np.sum(bad_inf))
        wrong = (nan_e != nan_a) | bad_inf
        if self.odd is None and wrong.any():
            self.odd = start + int(np.flatnonzero(wrong)[0])
        usable: np.ndarray = ~(nan_e | nan_a | inf_e | inf_a)
        return usable

    def _gather(self, e: np.ndarray, a: np.ndarray, bound: np.ndarray, where: np.ndarray) -> None:
        import numpy as np

        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            error = np.abs(a - e)
            used = np.where(error == 0, 0.0, np.minimum(error / bound, _MOST))
            relative = error[e != 0] / np.abs(e[e != 0])
            self._sums += [np.sum(error), e @ e, error @ error, a @ a, e @ a]
        self.finite += e.size
        self.over += int(np.sum(used > 1))
        self._count_unstable(e, error, used)
        self.max_abs = max(self.max_abs, float(error.max()))
        self.max_rel = max(self.max_rel, min(_MOST, float(relative.max(initial=0.0))))
        self.low, self.high = min(self.low, float(e.min())), max(self.high, float(e.max()))
        top = int(np.argmax(used))
        if self.worst is None or used[top] > self.used:
            self.used, self.worst = float(used[top]), int(where[top])
        self._count_errors(error)
        self._count_ulps(e, a)

    def _count_unstable(self, e: np.ndarray, error: np.ndarray, used: np.ndarray) -> None:
        usual = self.limit.usual
        if usual is not None:
            self.unstable += int(((used <= 1) & (error > usual.atol + usual.rtol * abs(e))).sum())

    def _count_errors(self, error: np.ndarray) -> None:
        import numpy as np

        with np.errstate(divide="ignore"):
            octave = np.ceil(np.log2(error) * _BINS_PER_OCTAVE) - _LOWEST * _BINS_PER_OCTAVE
        bins = np.clip(octave, 0, len(self._errors) - 1).astype(np.int64)
        self._errors += np.bincount(bins, minlength=len(self._errors))

    def _count_ulps(self, e: np.ndarray, a: np.ndarray) -> None:
        import numpy as np

        distance = ulps(e, a, self.limit.precision.name)
        self.ulp_max = max(self.ulp_max, float(distance.max()))
        bins = np.where(distance < 0.5, 0, np.floor(np.log2(np.maximum(distance, 1))) + 1)
        self._ulps += np.bincount(np.clip(bins, 0, ULP_BINS - 1).astype(np.int64), minlength=ULP_BINS)

    @property
    def mean_abs(self) -> Optional[float]:
        return float(self._sums[0] / self.finite) if self.finite else None

    @property
    def rms(self) -> Optional[float]:
        """The root mean square of the errors."""
        return float(self._sums[2] / self.finite) ** 0.5 if self.finite else None

    @property
    def cosine(self) -> Optional[float]:
        """Between the finite elements as vectors; None where one of them is zero."""
        norm = float(self._sums[1]) ** 0.5 * float(self._sums[3]) ** 0.5
        return min(1.0, float(self._sums[4]) / norm) if 0 < norm < float("inf") else None

    @property
    def sqnr_db(self) -> Optional[float]:
        """10·log10(Σe² / Σ(a-e)²); None where there is no error or no signal."""
        import math

        signal, error = float(self._sums[1]), float(self._sums[2])
        return 10 * math.log10(signal / error) if 0 < error < float("inf") and signal > 0 else None

    def quantile(self, share: float) -> float:
        """The error that `share` of the elements do not exceed, to within a ninth above."""
        import numpy as np

        if not self.finite:
            return 0.0
        reached = int(np.searchsorted(np.cumsum(self._errors), share * self.finite))
        if reached == 0:
            return 0.0
        return min(self.max_abs, float(2.0 ** (reached / _BINS_PER_OCTAVE + _LOWEST)))

    def histogram(self) -> list[list[Any]]:
        """``[power of ten, elements]``: how many errors lie in each decade; ``[None, n]`` is no error."""
        import math

        decades: dict[Optional[int], int] = {}
        for index in self._errors.nonzero()[0]:
            exponent = (int(index) / _BINS_PER_OCTAVE + _LOWEST) * math.log10(2)
            key = None if index == 0 else math.floor(exponent - 1e-9)
            decades[key] = decades.get(key, 0) + int(self._errors[index])
        return [[key, decades[key]] for key in sorted(decades, key=lambda k: (k is not None, k))]

    def ulp_histogram(self) -> list[int]:
        """Counts of 0, 1, 2-3, 4-7, … units in the last place, without the empty end."""
        used = int(self._ulps.nonzero()[0].max(initial=-1)) + 1
        return [int(count) for count in self._ulps[:used]]


def ulps(e: np.ndarray, a: np.ndarray, precision: str) -> np.ndarray:
    """How many numbers of the format lie between, as float64; both rounded to the format first."""
    import numpy as np

    fine, integer = _BITS[precision]
    with np.errstate(over="ignore"):
        left, right = _ordered(e.astype(fine), integer), _ordered(a.astype(fine), integer)
    # Unsigned differences wrap to the right answer where signed ones would overflow.
    gap = np.where(
        left >= right, left.view("uint64") - right.view("uint64"), right.view("uint64") - left.view("uint64")
    )
    return np.asarray(gap.astype(np.float64) / (65536 if precision == "bfloat16" else 1))


_BITS = {
    "float64": ("float64", "int64"),
    "float32": ("float32", "int32"),
    "bfloat16": ("float32", "int32"),
    "float16": ("float16", "int16"),
}


def _ordered(array: np.ndarray, integer: str) -> np.ndarray:
    """Bit patterns as int64 that grow with the value: sign and magnitude to two's complement."""
    import numpy as np

    bits = np.ascontiguousarray(array).view(integer)
    lowest = np.int64(np.iinfo(integer).min)
    wide = bits.astype(np.int64)
    return np.asarray(np.where(bits < 0, lowest - wide, wide))
