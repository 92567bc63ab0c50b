"""Inputs that tell a right model from a wrong one, made from what the source knows of itself.

One sample proves little: a saturated output hides errors, a threshold is only wrong for rows that
lie on it, and a frozen axis only shows at another batch size. So every model sees several families
(``FAMILIES``) at several sizes. The same description and seed give the same bits on every machine.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Callable, Iterator, Mapping, Optional, Sequence

from zoo.records import Domain, FeedCase, SourceDescription, TensorSpec, record
from zoo.verification.draws import Stream
from zoo.verification.feed_values import InputSpace, candidates, cast, fill

if TYPE_CHECKING:
    import numpy as np

    from zoo.tensors import Tensors

FAMILIES: dict[str, str] = {
    "sample": "rows the user or the registry gave, as they are",
    "typical": "within the known range, else normal; fitted categories and texts",
    "zeros": "all zero, empty text",
    "small": "a thousandth of the range: nothing saturates",
    "edges": "every element at one end of its range",
    "large": "ten ranges beyond it, else a hundred standard deviations",
    "boundary": "one column at, or one step beside, a value where the answer may jump",
    "boundary_all": "all columns there at once",
    "missing": "NaN, alone and together, where the source accepts it",
    "unknown": "categories that were not fitted, where the source answers for them",
    "scripts": "text in many scripts, one-letter words, blanks, empty",
    "decision": "on both sides of, and beside, points where the source's answer turns",
    "empty": "no row at all, where the source answers that",
}

EMPTY = "empty"
MANY_ROWS = 32
"""Rows of the largest case of every model; those of other families have at most `FEW_ROWS`."""
FEW_ROWS = 7
BATCHES = (1, 2, FEW_ROWS, MANY_ROWS)
BATCH_NAMES = ("batch", "batch_size", "n", "rows", "none", "unk__0")
MAX_ROWS = 4096
"""Most rows of one case."""
PACKED_ROWS = 300
"""Rows of a case where one row is small (a table): rare answers need many."""
SMALL_ROW = 512
"""Most elements of a small row."""
MAX_ELEMENTS = 2_000_000
"""Most elements of one input in a case with many rows (families that pack rows)."""
MAX_MANY = 10_000_000
"""Most elements of one input in the case of `MANY_ROWS`."""


@record
class Sizes:
    """How the axes are bound in one case: the batch, and a number that varies the other names."""

    batch: int
    turn: int


def make_feeds(
    description: SourceDescription,
    *,
    seed: int = 0,
    sample: Optional[Tensors] = None,
    batches: Sequence[int] = BATCHES,
) -> Iterator[tuple[FeedCase, Tensors]]:
    """Every case with its feeds: one array for each input of the signature, under its name.

    Dtypes are those of the signature (text: numpy unicode; bfloat16: float32 that fits it). Axes of
    the same name have the same size in all inputs of a case; a fixed first axis stays as it is. The
    family ``decision`` asks the source: `zoo.verification.search.decision_feeds` makes it.
    """
    return feeds_of(FeedMaker(description, seed, sample), batches)


def feeds_of(maker: FeedMaker, batches: Sequence[int] = BATCHES) -> Iterator[tuple[FeedCase, Tensors]]:
    """`make_feeds` for a maker that has more to do."""
    for family in FAMILIES:
        if maker.applies(family):
            yield from maker.cases(family, batches)


def empty_feeds(maker: FeedMaker) -> Iterator[tuple[FeedCase, Tensors]]:
    """The case of no rows, where the batch is an axis of its own."""
    if maker.batch_axis is not None:
        yield from maker.cases(EMPTY, ())


class FeedMaker:
    """Makes the cases of one description; the same seed and sample give the same bits."""

    def __init__(
        self, description: SourceDescription, seed: int = 0, sample: Optional[Tensors] = None
    ) -> None:
        self.seed = seed
        self.spaces = input_spaces(description, sample)
        self.axes = description.axes
        self.batch_axis = _batch_axis([space.spec for space in self.spaces])
        self._turn = 0

    def applies(self, family: str) -> bool:
        """Whether the family says anything of these inputs."""
        test = _APPLIES.get(family, _always)
        return any(test(space) for space in self.spaces)

    def cases(self, family: str, batches: Sequence[int]) -> Iterator[tuple[FeedCase, Tensors]]:
        if family in ("boundary", "boundary_all"):
            yield from self._boundary(family)
            return
        for batch in self._batches(family, batches):
            sizes = Sizes(batch, self._next_turn())
            yield self._case(family, batch), self.filled(family, sizes)

    def filled(self, family: str, sizes: Sizes, label: str = "") -> Tensors:
        """All inputs of one case, of a family that fills each element on its own.

        Another `label` gives other values of the same family.
        """
        feeds: Tensors = {}
        for space in self.spaces:
            stream = Stream(self.seed, label or family, sizes.batch, space.spec.name)
            values = "typical" if family in ("missing", EMPTY) else family
            feeds[space.spec.name] = fill(space, values, self.shape(space, sizes), stream)
            if family == "missing":
                feeds[space.spec.name] = with_nan(space, feeds[space.spec.name], stream)
        return feeds

    def shape(self, space: InputSpace, sizes: Sizes) -> tuple[int, ...]:
        """The concrete shape of an input in a case."""
        shape = space.spec.shape
        return tuple(
            dim if isinstance(dim, int) and dim >= 0 else self._size(space, axis, sizes)
            for axis, dim in enumerate(shape)
        )

    def _size(self, space: InputSpace, axis: int, sizes: Sizes) -> int:
        dim = space.spec.shape[axis]
        if dim == self.batch_axis or (axis == 0 and not isinstance(dim, str)):
            return sizes.batch
        if isinstance(dim, str) and self.axes.get(dim):
            return self.axes[dim][sizes.turn % len(self.axes[dim])]
        seen = space.sample
        if seen is not None and seen.ndim == len(space.spec.shape):
            return int(seen.shape[axis]) * (1, 2)[sizes.turn % 2]
        # Axes of one name must agree in all inputs, so the size hangs on the name and the turn alone.
        is_image = len(space.spec.shape) == 4 and axis > 0
        choices = (96, 64, 128) if is_image else (8, 5, 13)
        return choices[(sizes.turn + sum(map(ord, str(dim)))) % 3]

    def _batches(self, family: str, batches: Sequence[int]) -> Sequence[int]:
        if self.batch_axis is None:
            first = self.spaces[0].spec.shape
            return (int(first[0]) if first and isinstance(first[0], int) else 1,)
        known = self.axes.get(self.batch_axis)
        if known and family not in (EMPTY, "sample"):
            return tuple(known) if family == "typical" else known[-1:]
        packed = min(PACKED_ROWS, self._row_limit()) if self._is_table() else FEW_ROWS
        if family == EMPTY:
            return (0,)
        if family == "typical":
            few = [batch for batch in batches if batch <= FEW_ROWS or batch * self.row_size() <= MAX_MANY]
            return tuple(dict.fromkeys((*few, packed)))
        if family == "sample":
            return (min(self._sample_rows(), self._row_limit()),)
        if family in ("missing", "unknown", "scripts"):
            return (max(packed, min(67, self._row_limit())),)
        return (2 if family == "zeros" else packed,)

    def _sample_rows(self) -> int:
        return max((len(s.sample) for s in self.spaces if s.sample is not None and s.sample.ndim), default=1)

    def _row_limit(self) -> int:
        return max(1, min(MAX_ROWS, MAX_ELEMENTS // self.row_size()))

    def _is_table(self) -> bool:
        """Whether a row is small, and its size always the same: sequences cost more than they look."""
        inner = [dim for space in self.spaces for dim in space.spec.shape if dim != self.batch_axis]
        return self.row_size() <= SMALL_ROW and all(isinstance(dim, int) for dim in inner)

    def row_size(self) -> int:
        """Elements of one row of the largest input."""
        shapes = [self.shape(space, Sizes(1, 0)) for space in self.spaces]
        return max((prod(max(1, length) for length in shape) for shape in shapes), default=1)

    def _boundary(self, family: str) -> Iterator[tuple[FeedCase, Tensors]]:
        places = boundary_places(self.spaces, self.batch_axis)
        if not places:
            return
        total = sum(len(values) for _, _, values in places)
        rows = min(total, self._row_limit())
        if self.batch_axis is None or self.axes.get(self.batch_axis):
            rows = max(self._batches(family, ()))
        sizes = Sizes(rows, 0)
        feeds = self.filled("typical", sizes)
        feeds = {name: array.copy() for name, array in feeds.items()}
        stream = Stream(self.seed, family, rows)
        place = _one_at_a_time if family == "boundary" else _all_at_once
        place(feeds, self.spaces, places, stream)
        yield self._case(family, rows), feeds

    def _case(self, family: str, batch: int) -> FeedCase:
        return FeedCase(f"{family}-{batch}", family, batch, self.seed)

    def _next_turn(self) -> int:
        self._turn += 1
        return self._turn - 1


def _always(space: InputSpace) -> object:
    return True


_APPLIES: dict[str, Callable[[InputSpace], object]] = {
    "empty": lambda space: False,  # asked for last: a framework may not survive it
    "decision": lambda space: False,  # found by asking the source: see `decision_feeds`
    "sample": lambda space: space.sample is not None,
    "small": lambda space: space.is_float,
    "edges": lambda space: space.any(lambda column: column.low is not None and column.high is not None),
    "large": lambda space: not space.is_text and space.spec.dtype != "bool",
    "boundary": lambda space: not space.is_text and space.any(lambda column: column.values),
    "boundary_all": lambda space: not space.is_text and space.any(lambda column: column.values),
    "missing": lambda space: space.is_float and space.any(lambda column: column.accepts_nan),
    "unknown": lambda space: space.any(lambda column: column.categories and column.accepts_unknown),
    "scripts": lambda space: space.is_text and space.any(lambda column: not column.categories),
}


def input_spaces(description: SourceDescription, sample: Optional[Tensors] = None) -> list[InputSpace]:
    """The inputs with their domains and sample; a sample of other names counts by position."""
    specs = description.signature.inputs
    domains = [*description.domains, *([Domain()] * len(specs))]
    return [
        InputSpace(spec, domains[i], _sample_of(spec, i, len(specs), sample)) for i, spec in enumerate(specs)
    ]


def _sample_of(spec: TensorSpec, index: int, count: int, sample: Optional[Tensors]) -> Optional[np.ndarray]:
    if not sample:
        return None
    if spec.name in sample:
        return sample[spec.name]
    names = list(sample)
    return sample[names[index]] if len(names) == count else None


def _batch_axis(specs: Sequence[TensorSpec]) -> Optional[str]:
    """The name of the batch axis: the first name of a first axis, preferring the usual ones."""
    first = [str(spec.shape[0]) for spec in specs if spec.shape and isinstance(spec.shape[0], str)]
    usual = [name for name in first if name.lower() in BATCH_NAMES]
    return (usual or first or [None])[0]  # type: ignore[list-item]


def with_nan(space: InputSpace, array: np.ndarray, stream: Stream) -> np.ndarray:
    """NaN in a third of the elements that accept it; first in one column at a time, then in all."""
    import numpy as np

    if not space.is_float or not array.ndim:
        return array
    width = array.shape[-1]
    accepts = np.array([space.column(i).accepts_nan for i in range(width)])
    hole = (stream.uniform(array.shape) < 1 / 3) & accepts
    if array.ndim == 2:
        alone = min(len(array), width)
        hole[:alone] = np.eye(alone, width, dtype=bool) & accepts
        if len(array) > width:
            hole[width] = accepts
    return np.where(hole, np.asarray(np.nan, dtype=array.dtype), array)


def boundary_places(
    spaces: Sequence[InputSpace], batch_axis: Optional[str]
) -> list[tuple[int, int, np.ndarray]]:
    """``(input, index of the last axis or -1 for every element, candidates)`` where answers jump."""
    places = []
    for i, space in enumerate(spaces):
        rows_first = batch_axis is None or (space.spec.shape and space.spec.shape[0] == batch_axis)
        if space.is_text or not rows_first:
            continue
        several = len(space.domain.columns) > 1
        for j, column in enumerate(space.domain.columns):
            if column.values:
                places.append((i, j if several else -1, candidates(column, space.spec.dtype)))
    return places


Places = Sequence["tuple[int, int, np.ndarray]"]


def _one_at_a_time(feeds: Tensors, spaces: Sequence[InputSpace], places: Places, stream: Stream) -> None:
    """Row after row, the next candidate of the next column; the others stay typical."""
    rows = len(feeds[spaces[places[0][0]].spec.name])
    for row in range(rows):
        i, j, values = places[row % len(places)]
        array = feeds[spaces[i].spec.name]
        turn = row // len(places)
        column = j if j >= 0 else int(stream.integers((), 0, array.shape[-1] - 1)) if array.ndim > 1 else 0
        _put(array, row, column, values[_scattered(turn, len(values))])


def _all_at_once(feeds: Tensors, spaces: Sequence[InputSpace], places: Places, stream: Stream) -> None:
    for i, j, values in places:
        name = spaces[i].spec.name
        array = feeds[name]
        target = array if j < 0 or array.ndim < 2 else array[..., j]
        target[...] = cast(stream.choose(values, target.shape), spaces[i].spec.dtype)


def _put(array: np.ndarray, row: int, column: int, value: float) -> None:
    if array.ndim < 2:
        array[row] = value
    else:
        array[row, ..., column] = value


def _scattered(turn: int, count: int) -> int:
    """Every index once in `count` turns, spread over the range from the start."""
    step = max(1, int(count * 0.618))
    while _common_divisor(step, count) != 1:
        step += 1
    return (turn * step) % count


def _common_divisor(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return a


def rows_of(feeds: Mapping[str, np.ndarray]) -> int:
    """The number of rows: the length of the first axis of the first input."""
    first = next(iter(feeds.values()))
    return int(first.shape[0]) if first.ndim else 1
