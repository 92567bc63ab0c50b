"""The columns of a table on its way through the stages of a Spark pipeline, as values of a graph."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Sequence, Tuple

from converters.classical import idioms
from converters.classical.facts import jumps
from zoo.errors import UsageError
from zoo.records import ColumnDomain, Domain, TensorSpec, record

if TYPE_CHECKING:
    import numpy as np

    from converters.classical.graph import Graph, Value

Origin = Tuple[str, int]
"""An element of an input: its name and the index on the last axis."""


@record
class Column:
    """A value [N, width]; `origins` are the elements of inputs that pass through to it unchanged.

    `labels` are what the numbers of an indexed column stand for.
    """

    value: Value
    origins: Tuple[Optional[Origin], ...]
    labels: Optional[Tuple[str, ...]] = None

    @property
    def width(self) -> int:
        return len(self.origins)


class Table:
    """The columns so far. What a stage reads and none wrote is an input, made when it is first read."""

    def __init__(self, graph: Graph, wished: Sequence[TensorSpec]) -> None:
        self.graph = graph
        self.inputs: List[TensorSpec] = []
        self.made: Dict[str, Column] = {}
        self.roles: Dict[str, str] = {}
        self._wished = {spec.name: spec for spec in wished}
        self._points: Dict[Origin, List[float]] = {}
        self._categories: Dict[str, Tuple[Tuple[str, ...], bool]] = {}
        self._finite: Dict[Origin, bool] = {}
        self._limits: Dict[Origin, Tuple[float, float]] = {}

    def numbers(self, name: str, width: Optional[int] = None) -> Column:
        """A column of numbers, float64; a new input has `width` of them, one where it is not known."""
        if name not in self.made:
            spec = self._wished.get(name, TensorSpec(name, "float64", ("batch", width or 1)))
            self._enter(spec, spec.dtype)
        column = self.made[name]
        if column.value.dtype == "string":
            raise self.graph.refuse(f"column {name!r} is text, and numbers are needed")
        if width is not None and column.width != width:
            raise self.graph.refuse(f"column {name!r} has {column.width} numbers, {width} are needed")
        return column

    def texts(self, name: str) -> Column:
        """A column of text."""
        if name not in self.made:
            self._enter(self._wished.get(name, TensorSpec(name, "string", ("batch", 1))), "string")
        if self.made[name].value.dtype != "string":
            raise self.graph.refuse(f"column {name!r} has numbers, whose texts Spark would index")
        return self.made[name]

    def make(self, name: str, value: Value, role: str = "values", **more: Any) -> None:
        """A new column [N, width]; `origins` or `width` says how wide."""
        width = more.pop("width", 1)
        origins = more.pop("origins", (None,) * width)
        if name in self.made:
            raise self.graph.refuse(f"column {name!r} is written twice")
        self.made[name] = Column(value, origins, **more)
        self.roles[name] = role

    def jump(self, column: Column, points: Mapping[int, Sequence[float]]) -> None:
        """Note where the answer may jump, or what is usual, by index of the column."""
        for index, values in points.items():
            origin = column.origins[index]
            if origin is not None:
                self._points.setdefault(origin, []).extend(map(float, values))

    def known(self, column: Column, labels: Tuple[str, ...], others: bool) -> None:
        """Note the texts of an input, and whether others are answered, too."""
        origin = column.origins[0]
        if origin is not None:
            self._categories[origin[0]] = (labels, others)

    def no_missing(self, column: Column) -> None:
        """Note that Spark ends with an error where a number of this column is missing."""
        for origin in column.origins:
            if origin is not None:
                self._finite[origin] = True

    def within(self, column: Column, low: float, high: float) -> None:
        """Note that Spark ends with an error outside of a range."""
        origin = column.origins[0]
        if origin is not None:
            self._limits[origin] = low, high

    def domains(self) -> Tuple[Domain, ...]:
        """What is known of each input, in order."""
        return tuple(self._domain(spec) for spec in self.inputs)

    def _domain(self, spec: TensorSpec) -> Domain:
        if spec.dtype == "string":
            labels, others = self._categories.get(spec.name, ((), True))
            return Domain((ColumnDomain(categories=labels, accepts_unknown=others),))
        width = self.made[spec.name].width
        return Domain(tuple(self._number((spec.name, i), spec.dtype) for i in range(width)))

    def _number(self, origin: Origin, dtype: str) -> ColumnDomain:
        known = jumps(self._points.get(origin, ())).domain
        low, high = self._limits.get(origin, (-math.inf, math.inf))
        return ColumnDomain(
            low=None if known.low is None else max(low, known.low),
            high=None if known.high is None else min(high, known.high),
            values=known.values,
            accepts_nan=dtype.startswith("float") and origin not in self._finite,
            integral=dtype.startswith("int"),
        )

    def _enter(self, spec: TensorSpec, dtype: str) -> None:
        rest = spec.shape[1:]
        if len(rest) > 1 or any(not isinstance(size, int) for size in rest):
            raise UsageError(f"a column has the shape [batch] or [batch, width], not {spec}")
        width = int(rest[0]) if rest else 1
        if dtype == "string" and spec.dtype != "string":
            raise UsageError(
                f"the column {spec.name!r} is text", hint=f"--input '{spec.name}:string[batch,1]'"
            )
        value = self.graph.input(spec.name, spec.dtype, spec.shape)
        value = value if rest else idioms.upright(self.graph, value)
        value = value if spec.dtype == "string" else self.graph.cast(value, "float64")
        self.inputs.append(spec)
        self.made[spec.name] = Column(value, tuple((spec.name, i) for i in range(width)))


def constant_row(values: Any) -> np.ndarray:
    """[1, width] float64."""
    import numpy as np

    return np.asarray(values, dtype=np.float64).reshape(1, -1)
