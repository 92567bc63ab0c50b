"""What flows between steps: a matrix of one dtype, or columns that keep their own.

The source sees either an array, a sparse matrix, or a table (a pandas frame, or an object array of
mixed values). A `Matrix` says which of the first two: where the source holds a sparse matrix it
may compute otherwise (a scaler multiplies by ``1 / scale`` there instead of dividing).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Sequence, Union

from converters.classical import idioms
from converters.classical.graph import Value
from zoo.records import record

if TYPE_CHECKING:
    from converters.classical.graph import Graph


@record
class Column:
    """One feature: a value of shape [N, 1] and its name in the source, if it has one."""

    value: Value
    name: Optional[str] = None


@record
class Table:
    """Columns with their own dtypes. `flat`: the source sees one column as a 1-D series of texts."""

    columns: tuple[Column, ...]
    flat: bool = False

    @property
    def width(self) -> int:
        return len(self.columns)


@record
class Matrix:
    """A value of shape [N, width] of one dtype; `sparse` where the source holds a sparse matrix."""

    value: Value
    width: int
    sparse: bool = False

    @property
    def dtype(self) -> str:
        return self.value.dtype


Features = Union[Matrix, Table]


def numeric(graph: Graph, X: Features) -> Matrix:
    """X as check_array(dtype="numeric") gives it: columns joined under numpy's promotion."""
    import numpy as np

    if isinstance(X, Matrix):
        if X.dtype == "string":
            raise graph.refuse("text where the estimator needs numbers")
        return X
    dtypes = {column.value.dtype for column in X.columns}
    if "string" in dtypes:
        raise graph.refuse("text columns where the estimator needs numbers")
    # A frame or object array of booleans and numbers is turned into float64 by check_array.
    mixed = "bool" in dtypes and len(dtypes) > 1
    common = "float64" if mixed else str(np.result_type(*sorted(dtypes)))
    parts = [graph.cast(column.value, common) for column in X.columns]
    return Matrix(idioms.concat(graph, parts), X.width)


def floats(graph: Graph, X: Features) -> Matrix:
    """X as check_array(dtype=[float64, float32]) gives it: float32 stays, all else is float64."""
    matrix = numeric(graph, X)
    dtype = "float32" if matrix.dtype == "float32" else "float64"
    return Matrix(graph.cast(matrix.value, dtype), matrix.width, matrix.sparse)


def columns(graph: Graph, X: Features) -> tuple[Column, ...]:
    """X as columns of shape [N, 1]; a matrix is cut up."""
    if isinstance(X, Table):
        return X.columns
    if X.width == 1:
        return (Column(X.value),)
    parts = [Column(idioms.take_columns(graph, X.value, [i])) for i in range(X.width)]
    return tuple(parts)


def select(graph: Graph, X: Features, indices: Sequence[int], flat: bool = False) -> Features:
    """The columns at `indices`, in that order."""
    if isinstance(X, Table):
        return Table(tuple(X.columns[i] for i in indices), flat)
    if list(indices) == list(range(X.width)) and not flat:
        return X
    value = idioms.take_columns(graph, X.value, list(indices))
    if flat:
        return Table((Column(value),), True)
    return Matrix(value, len(indices), X.sparse)


def join(graph: Graph, parts: Sequence[Features], sparse: bool = False) -> Features:
    """Side by side as numpy.hstack would: numbers promoted to one dtype, beside text a table."""
    import numpy as np

    kept = [part for part in parts if part.width]
    if not kept:
        return Matrix(idioms.broadcast_rows(graph, np.zeros(0)), 0, sparse)
    if any(_has_text(part) for part in kept):
        return Table(tuple(column for part in kept for column in columns(graph, part)))
    matrices = [numeric(graph, part) for part in kept]
    common = str(np.result_type(*[matrix.dtype for matrix in matrices]))
    value = idioms.concat(graph, [graph.cast(matrix.value, common) for matrix in matrices])
    return Matrix(value, sum(matrix.width for matrix in matrices), sparse)


def texts(graph: Graph, X: Features) -> Value:
    """X as a vectorizer sees it: text of shape [N]."""
    if X.width != 1:
        raise graph.refuse(f"a vectorizer reads one column of text, not {X.width}")
    value = columns(graph, X)[0].value
    if value.dtype != "string":
        raise graph.refuse(f"a vectorizer reads text, not {value.dtype}")
    return idioms.flat(graph, value)


def _has_text(part: Features) -> bool:
    if isinstance(part, Matrix):
        return part.dtype == "string"
    return any(column.value.dtype == "string" for column in part.columns)
