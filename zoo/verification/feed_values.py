"""Values for one input, family by family: what a column may hold and where its answer may jump."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Sequence, Union

from zoo.records import ColumnDomain, Domain, TensorSpec, record
from zoo.verification.texts import TEXTS, UNKNOWN_CATEGORIES

if TYPE_CHECKING:
    import numpy as np

    from zoo.verification.draws import Stream

MAX_CANDIDATES = 4096
"""Most boundary candidates of one column; beyond it, an even selection of its values."""


@record
class InputSpace:
    """An input of the model, what is known of its values, and rows that were seen."""

    spec: TensorSpec
    domain: Domain
    sample: Optional[np.ndarray] = None

    @property
    def is_text(self) -> bool:
        return self.spec.dtype in ("string", "str", "object")

    @property
    def is_float(self) -> bool:
        return self.spec.dtype in ("float64", "float32", "float16", "bfloat16")

    def column(self, index: int) -> ColumnDomain:
        """The domain of an index of the last axis."""
        return self.domain.columns[index % len(self.domain.columns)]

    def any(self, test: Callable[[ColumnDomain], object]) -> bool:
        return any(test(column) for column in self.domain.columns)


def fill(space: InputSpace, family: str, shape: tuple[int, ...], stream: Stream) -> np.ndarray:
    """An array of `shape` and the input's dtype whose values belong to `family`."""
    if space.sample is not None and family in ("typical", "sample"):
        return _from_sample(space, family, shape, stream)
    columns = space.domain.columns
    if len(columns) == 1 or not shape or shape[-1] != len(columns):
        return cast(_draw(columns[0], space, family, (shape, stream)), space.spec.dtype)
    parts = [_draw(column, space, family, (shape[:-1], stream)) for column in columns]
    return cast(_stack(parts), space.spec.dtype)


def _stack(parts: Sequence[np.ndarray]) -> np.ndarray:
    import numpy as np

    return np.stack(parts, axis=-1)


def _draw(
    column: ColumnDomain, space: InputSpace, family: str, place: tuple[tuple[int, ...], Stream]
) -> np.ndarray:
    shape, stream = place
    if space.is_text:
        return stream.choose(texts(column, family), shape)
    if column.categories:
        return stream.choose(numeric_categories(column, family), shape)
    if space.spec.dtype == "bool":
        return stream.integers(shape, 0, 1)
    if not space.is_float or column.integral:
        return _integers(column, space, family, place)
    return _floats(column, family, shape, stream)


def _floats(column: ColumnDomain, family: str, shape: tuple[int, ...], stream: Stream) -> np.ndarray:
    import numpy as np

    if family == "zeros":
        return np.zeros(shape)
    if column.low is None or column.high is None:
        scale = {"large": 100.0, "small": 1e-3}.get(family, 1.0)
        return stream.normal(shape) * scale
    low, high = column.low, column.high
    if family == "edges":
        return stream.choose([low, high], shape)
    if family == "large":
        span = high - low
        return stream.uniform(shape, low - 10 * span, high + 10 * span)
    if family == "small":
        low, high = (low, low + 1e-3 * (high - low)) if low >= 0 else (1e-3 * low, 1e-3 * high)
    return stream.uniform(shape, low, high)


def _integers(
    column: ColumnDomain, space: InputSpace, family: str, place: tuple[tuple[int, ...], Stream]
) -> np.ndarray:
    import numpy as np

    shape, stream = place
    low, high = integer_range(column, space.spec.dtype)
    if family == "zeros":
        return np.full(shape, min(max(0, low), high))
    if family in ("large", "edges"):
        return stream.choose([low, high], shape)
    return stream.integers(shape, low, high)


def integer_range(column: ColumnDomain, dtype: str) -> tuple[int, int]:
    """What is known, else all of a byte, else 0 to 9: small enough for any table of tokens."""
    low, high = {"uint8": (0, 255), "int8": (-128, 127)}.get(dtype, (0, 9))
    low = low if column.low is None else int(column.low)
    return low, max(low, high if column.high is None else int(column.high))


def texts(column: ColumnDomain, family: str) -> Sequence[str]:
    """The texts that a column may hold in a family."""
    if column.categories:
        known = [str(item) for item in column.categories]
        return known + unknown_texts(known) if family == "unknown" else known
    if family == "zeros":
        return [""]
    if family == "scripts" or not column.texts:
        return list(TEXTS)
    return list(column.texts)


def unknown_texts(known: Sequence[str]) -> list[str]:
    """Categories nobody fitted: new ones, and fitted ones in another case or with blanks."""
    near = [change(item) for item in known[:8] for change in (str.upper, str.title, lambda s: s + " ")]
    return [item for item in dict.fromkeys([*UNKNOWN_CATEGORIES, *near]) if item not in set(known)]


def numeric_categories(column: ColumnDomain, family: str) -> list[float]:
    """Fitted categories that are numbers; in the family ``unknown`` others beside them."""
    known = [float(item) for item in column.categories]
    if family != "unknown":
        return known
    return [*known, max(known) + 1.0, min(known) - 1.0, 1e6]


def candidates(column: ColumnDomain, dtype: str) -> np.ndarray:
    """float64 values at which an answer may jump: each split exactly, and next to it.

    For a float64 input also one float64 step beside, and the float32 neighbours; for a float32
    input the nearest float32 and its two neighbours; for an integer the integers around.
    """
    import numpy as np

    values = np.unique(np.asarray([v for v in column.values if np.isfinite(v)], dtype=np.float64))
    values = _spread(values, MAX_CANDIDATES // 8)
    if column.integral or dtype.startswith(("int", "uint")):
        return np.unique(np.concatenate([np.floor(values) + step for step in (-1.0, 0.0, 1.0)]))
    near = [*_float32_neighbours(values), (values[1:] + values[:-1]) / 2]
    if dtype == "float64":
        near += [values, np.nextafter(values, -np.inf), np.nextafter(values, np.inf)]
    return np.unique(np.concatenate(near))


def _float32_neighbours(values: np.ndarray) -> list[np.ndarray]:
    import numpy as np

    limit = np.finfo(np.float32).max
    nearest = values[np.abs(values) < limit].astype(np.float32)
    sides = [np.nextafter(nearest, np.float32(end)) for end in (-limit, limit)]
    return [array.astype(np.float64) for array in (nearest, *sides)]


def _spread(values: np.ndarray, most: int) -> np.ndarray:
    import numpy as np

    if values.size <= most:
        return values
    return values[np.linspace(0, values.size - 1, most).astype(np.int64)]


def cast(array: np.ndarray, dtype: str) -> np.ndarray:
    """To the numpy dtype of a spec; text becomes unicode, bfloat16 float32 rounded to its bits."""
    import numpy as np

    if dtype in ("string", "str", "object"):
        return array.astype(np.str_)
    if dtype == "bfloat16":
        return round_to_bfloat16(array.astype(np.float32))
    if np.issubdtype(np.dtype(dtype), np.integer) and array.dtype.kind == "f":
        array = np.where(np.isfinite(array), array, 0.0)
    with np.errstate(over="ignore"):
        return array.astype(np.dtype(dtype))


def round_to_bfloat16(array: np.ndarray) -> np.ndarray:
    """float32 values that bfloat16 holds exactly: the low 16 bits cut off."""
    import numpy as np

    bits = np.ascontiguousarray(array, dtype=np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    return bits.view(np.float32)


def _from_sample(space: InputSpace, family: str, shape: tuple[int, ...], stream: Stream) -> np.ndarray:
    """Rows of the sample as they are, or (``typical``) each column shuffled on its own."""
    import numpy as np

    rows = _fit(np.asarray(space.sample), shape)
    count = shape[0] if shape else 1
    if family == "sample" or rows.ndim != 2:
        index: Union[int, np.ndarray] = np.arange(count) % rows.shape[0]
        return cast(rows[index].reshape(shape), space.spec.dtype)
    picks = stream.integers((count, rows.shape[1]), 0, rows.shape[0] - 1)
    return cast(np.take_along_axis(rows, picks, axis=0), space.spec.dtype)


def _fit(sample: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sample with a row axis and the inner axes cut or repeated to those of `shape`."""
    import numpy as np

    inner = shape[1:]
    if sample.ndim == len(shape) - 1 or sample.ndim == 0:
        sample = sample[None]
    if sample.ndim == 1 and len(shape) == 2:
        sample = sample[:, None]
    for axis, size in enumerate(inner[: sample.ndim - 1], start=1):
        if sample.shape[axis] != size:
            sample = np.take(sample, np.arange(size) % sample.shape[axis], axis=axis)
    return sample
