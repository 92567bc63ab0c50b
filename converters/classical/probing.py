"""Ask the source itself what it accepts: a row it answers, missing values, unseen categories."""

from __future__ import annotations

import dataclasses
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

from converters.classical import answers
from converters.classical.layout import Layout, rows
from zoo.errors import MissingInputError
from zoo.records import ColumnDomain, Domain, TensorSpec
from zoo.tensors import read_sample

if TYPE_CHECKING:
    import numpy as np

UNSEEN = "zoo-unseen-Ωß"
MOST_PROBES = 64
"""Features that are asked one by one; wider models are asked in halves down to this many groups."""

# What scikit-learn says of rows that are meant to be odd; the answer itself is what counts.
_EXPECTED_WARNINGS = (
    "Found unknown categories",
    "X does not have valid feature names",
    "X has feature names",
    "Skipping features without any observed values",
    "`sklearn.utils.parallel.delayed`",
    "Cannot compute class probabilities",
    "Data was converted to boolean for metric",
)


@contextmanager
def quiet() -> Iterator[None]:
    """The source's warnings about deliberately odd rows, and numpy's about overflow, kept silent."""
    import numpy as np

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        for message in _EXPECTED_WARNINGS:
            warnings.filterwarnings("ignore", message=message)
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        yield


def plain_row(model: Any, found: Layout) -> dict[str, np.ndarray]:
    """One row that the source answers. Raises `MissingInputError` where none is found."""
    failure: Exception | None = None
    for number in (None, 0.0, 1.0, 0.5):
        row = _row(found, number)
        failure = _failure(model, found, row)
        if failure is None:
            return row
    raise MissingInputError(
        f"the model answers none of the rows made up for it: {type(failure).__name__}: {failure}",
        hint="Give rows like those it was fitted on: --sample file.csv (or .npz, .npy).",
    ) from failure


def domains(model: Any, found: Layout, row: Mapping[str, np.ndarray]) -> tuple[Domain, ...]:
    """What is known of each input's values, with what the source accepts found by asking it."""
    learned = [dataclasses.replace(feature.domain) for feature in found.features]
    for index in _accepted(model, found, row, "missing"):
        learned[index] = _with_missing(found, index, learned[index])
    unknown = _accepted(model, found, row, "unseen")
    learned = [dataclasses.replace(domain, accepts_unknown=i in unknown) for i, domain in enumerate(learned)]
    if found.kind in ("matrix", "texts", "labels"):
        return (Domain(tuple(learned)),)
    return tuple(Domain((domain,)) for domain, feature in zip(learned, found.features) if feature.used)


def _with_missing(found: Layout, index: int, domain: ColumnDomain) -> ColumnDomain:
    if _dtype(found, index) != "string":
        return dataclasses.replace(domain, accepts_nan=True)
    return dataclasses.replace(domain, categories=(*domain.categories, ""))


def _accepted(model: Any, found: Layout, row: Mapping[str, np.ndarray], question: str) -> set[int]:
    """The features for which the source answers a row with a missing or unseen value."""
    candidates = [i for i in range(len(found.features)) if _odd(found, i, question) is not None]
    accepted: set[int] = set()
    groups = [candidates] if candidates else []
    budget = 2 * MOST_PROBES
    while groups and budget:
        group, budget = groups.pop(), budget - 1
        changed = dict(row)
        for index in group:
            changed = _changed(found, changed, index, _odd(found, index, question))
        if _failure(model, found, changed) is None:
            accepted.update(group)
        elif len(group) > 1:
            groups += [group[: len(group) // 2], group[len(group) // 2 :]]
    return accepted


def _odd(found: Layout, index: int, question: str) -> Any:
    feature, dtype = found.features[index], _dtype(found, index)
    if not feature.used or found.kind in ("texts", "labels"):
        return None
    if question == "missing":
        if dtype == "string":
            return "" if feature.missing is not None else None
        return float("nan") if dtype.startswith("float") else None
    if not feature.domain.categories:
        return None
    return UNSEEN if dtype == "string" else _unseen_number(feature.domain.categories, dtype)


def _unseen_number(known: Sequence[Any], dtype: str) -> Any:
    numbers = [float(item) for item in known if not isinstance(item, str)]
    if dtype == "bool" or not numbers:
        return None
    return max(numbers) + 7


def _changed(found: Layout, row: Mapping[str, np.ndarray], index: int, value: Any) -> dict[str, np.ndarray]:
    import numpy as np

    name = "X" if found.kind == "matrix" else found.names[index]
    array = row[name].copy()
    if isinstance(value, str):
        array = array.astype(object)
    array[:, index if found.kind == "matrix" else 0] = value
    return {**row, name: array.astype(np.str_) if array.dtype == object else array}


def _failure(model: Any, found: Layout, row: Mapping[str, np.ndarray]) -> Exception | None:
    try:
        with quiet():
            answers.observed(model, rows(found, row))
    except Exception as error:  # noqa: BLE001 - any refusal of the source's is the answer
        return error
    return None


def _row(found: Layout, number: float | None) -> dict[str, np.ndarray]:
    import numpy as np

    if found.kind == "texts":
        texts = found.features[0].domain.texts
        return {"text": np.array([" ".join(texts[:8]) or "text"])}
    values = [_typical(found, i, number) for i in range(len(found.features))]
    if found.kind in ("matrix", "labels"):
        dtype = found.specs[0].dtype
        row = values if found.kind == "labels" else [values]
        return {"X": np.array(row, dtype=np.str_ if dtype == "string" else dtype)}
    arrays = {}
    for i, name in enumerate(found.names):
        if found.features[i].used:
            dtype = _dtype(found, i)
            arrays[name] = np.array([[values[i]]], dtype=np.str_ if dtype == "string" else dtype)
    return arrays


def _typical(found: Layout, index: int, number: float | None) -> Any:
    domain, dtype = found.features[index].domain, _dtype(found, index)
    if domain.categories:
        kind = str if dtype == "string" else (int, float, bool)
        fitting = [item for item in domain.categories if isinstance(item, kind)]
        if fitting:
            return fitting[0]
    if dtype == "string":
        return domain.texts[0] if domain.texts else "text"
    if number is not None:
        return number
    typical = domain.values[len(domain.values) // 2] if domain.values else 0.0
    return _within(typical, dtype) if dtype.startswith(("int", "uint")) else typical


def _within(number: float, dtype: str) -> int:
    """The nearest whole number that the dtype holds."""
    import numpy as np

    limits = np.iinfo(dtype)
    return int(min(max(number, limits.min), limits.max))


def _dtype(found: Layout, index: int) -> str:
    if found.kind == "matrix":
        return found.specs[0].dtype
    return "string" if found.kind == "texts" else found.features[index].dtype or "float64"


def sampled_specs(path: Path | None) -> list[TensorSpec]:
    """The dtypes of a sample file's columns, by name; one array without a name is the matrix ``X``."""
    return [
        TensorSpec(name, dtype, ("batch", *array.shape[1:]))
        for name, array in _sample(path).items()
        for dtype in _fed_as(array)
    ]


def _fed_as(array: np.ndarray) -> list[str]:
    """The dtype that such a column is fed as; none where the model decides (dates, half precision)."""
    if array.dtype.kind in "OU":
        return ["string"]
    known = array.dtype.kind in "biu" or array.dtype in ("float32", "float64")
    return [str(array.dtype)] if known else []


def sampled_row(found: Layout, path: Path | None) -> dict[str, np.ndarray] | None:
    """The first row of a sample file as feeds; None without a sample that fits the inputs."""
    import numpy as np

    sample = _sample(path)
    if "X" in sample and found.kind == "texts":
        sample["text"] = sample.pop("X").ravel()
    if not sample or not all(spec.name in sample for spec in found.specs):
        return None
    row = {}
    for spec in found.specs:
        array = sample[spec.name][:1]
        array = array.reshape(1, 1) if len(spec.shape) == 2 and array.ndim == 1 else array
        if array.shape[1:] != tuple(spec.shape[1:]):
            return None
        row[spec.name] = array.astype(np.str_ if spec.dtype == "string" else spec.dtype)
    return row


def sampled_texts(path: Path | None) -> tuple[str, ...]:
    """Every distinct text or whole number of a sample file's columns."""
    found: dict[str, None] = {}
    for array in _sample(path).values():
        if array.dtype.kind in "OUbiu":
            found.update(dict.fromkeys(str(item) for item in array.ravel().tolist()))
    return tuple(found)


def _sample(path: Path | None) -> dict[str, np.ndarray]:
    """The arrays of a sample file by input; what has no name is ``X``."""
    return {} if path is None else {name or "X": array for name, array in read_sample(path).items()}
