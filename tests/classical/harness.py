"""`assert_same_or_refused`: convert a fitted model, and demand its source's answers on nasty rows.

The rows: those given, thresholds that the model was fitted with, the float64 and float32 numbers
beside them, zeros, large numbers, missing values and unseen categories where the source answers
them, non-ASCII text; in one batch and row by row. Labels and text must be equal; float64 answers
agree to a few ulp of the largest term that was added (BLAS and ONNX Runtime add in other orders);
answers in float32 likewise in that precision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from converters.from_sklearn import SklearnConverter
from zoo.errors import UnsupportedModelError
from zoo.records import Artifact, ConversionRequest, SourceDescription, TensorSpec

Feeds = dict[str, np.ndarray]
RTOL = {"float64": 1e-12, "float32": 2e-6}
TEXTS = (
    "naïve café résumé",
    "I am a c-program, don't stop!",
    "東京 タワー and Москва",
    "",
    "  tabs\tand\nnewlines  ",
    "STRASSE straße İstanbul ΣΊΣΥΦΟΣ",
    "a b c d",
    "e\u0301 combining é",
    "x_1 y2 3.14 ½ ٣ 😀",
)


@dataclass(frozen=True)
class Options:
    """Bounds and request of one comparison; `rtol` replaces the default of the output's dtype."""

    rtol: float | None = None
    inputs: tuple[TensorSpec, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    skip: tuple[str, ...] = ()
    """Families of rows that are left out, each with a reason at the call."""


def assert_same(model: Any, rows: Any, options: Options = Options()) -> SourceDescription:
    """Convert and compare; a refusal is a failure. Gives the description for further questions."""
    converter, asked = SklearnConverter(), request(options)
    description = converter.describe(model, asked)
    session = session_of(converter.convert(model, asked))
    given = feeds_of(description, rows)
    for family, feeds in families(description, given).items():
        if family in options.skip:
            continue
        expected = _reference(converter, model, feeds, required=family == "given")
        if expected is not None:
            _compare_all(session, feeds, expected, family, options)
    return description


def assert_same_or_refused(model: Any, rows: Any, options: Options = Options()) -> str:
    """``"same"`` or ``"refused: why"``; anything else fails."""
    refusal = _refusal(model, options)
    if refusal is None:
        assert_same(model, rows, options)
        return "same"
    assert refusal.hint, f"refused without a way out: {refusal}"
    return f"refused: {refusal}"


def _refusal(model: Any, options: Options) -> UnsupportedModelError | None:
    try:
        SklearnConverter().convert(model, request(options))
    except UnsupportedModelError as error:
        return error
    return None


def request(options: Options = Options()) -> ConversionRequest:
    """A request for a live model."""
    artifact = Artifact(Path("model.joblib"), "0" * 64, 0)
    return ConversionRequest(
        artifact, "sklearn", "joblib", options=dict(options.options), inputs=options.inputs
    )


def session_of(model: Any) -> Any:
    """A ready ONNX Runtime session."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = 2
    return onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )


def run(session: Any, feeds: Feeds) -> Feeds:
    """ONNX Runtime's answers by output name."""
    ready = {
        name: array.astype(object) if array.dtype.kind == "U" else array for name, array in feeds.items()
    }
    return dict(zip([output.name for output in session.get_outputs()], session.run(None, ready), strict=True))


# --- rows ---------------------------------------------------------------------------------------


def feeds_of(description: SourceDescription, rows: Any) -> Feeds:
    """Rows as the source takes them (frame, matrix, list of texts) as the graph's feeds."""
    specs = description.signature.inputs
    if hasattr(rows, "columns"):
        return {spec.name: _column(rows[spec.name].to_numpy(), spec.dtype).reshape(-1, 1) for spec in specs}
    if specs[0].name == "text":
        return {"text": np.array([str(text) for text in rows], dtype=np.str_)}
    matrix = np.asarray(rows)
    if specs[0].name == "X" and len(specs[0].shape) == 2:
        return {"X": _column(matrix.ravel(), specs[0].dtype).reshape(matrix.shape)}
    return {spec.name: _column(matrix[:, int(spec.name[1:])], spec.dtype).reshape(-1, 1) for spec in specs}


def _column(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype != "string":
        return values.astype(dtype)
    return np.array(["" if item is None or item != item else str(item) for item in values], dtype=np.str_)


def families(description: SourceDescription, given: Feeds) -> dict[str, Feeds]:
    """Families of rows made of the given ones and of what the model knows of its inputs."""
    made = {
        "given": given,
        "zeros": _mapped(given, np.zeros_like),
        "large": _mapped(given, lambda x: x * 10**6),
    }
    for family in (
        "threshold",
        "below",
        "above",
        "below32",
        "above32",
        "missing",
        "all-missing",
        "category",
        "unseen",
    ):
        feeds = _planted(description, given, family)
        if feeds is not None:
            made[family] = feeds
    if "text" in given and len(description.signature.inputs) == 1:
        made["texts"] = {"text": np.array([*TEXTS, *given["text"][:20]], dtype=np.str_)}
    return made


def _mapped(given: Feeds, change: Any) -> Feeds:
    return {name: change(x) if x.dtype.kind in "fi" else x for name, x in given.items()}


def _planted(description: SourceDescription, given: Feeds, family: str) -> Feeds | None:
    """The given rows with special values planted; None where the family has none."""
    planted, feeds = False, {name: array.copy() for name, array in given.items()}
    for spec, domain in zip(description.signature.inputs, description.domains, strict=True):
        array = feeds[spec.name]
        for index, column in enumerate(domain.columns):
            values = _values(column, array.dtype, family)
            if array.ndim != 2 or not len(values):
                continue
            planted = True
            array = _plant(array, index, values, every=1 if family == "all-missing" else 2)
        feeds[spec.name] = array
    return feeds if planted else None


def _plant(array: np.ndarray, index: int, values: np.ndarray, every: int) -> np.ndarray:
    if array.dtype.kind == "U":
        array = array.astype(f"<U{max(array.dtype.itemsize // 4, values.dtype.itemsize // 4, 1)}")
    repeated = np.resize(values, len(array))
    chosen = (np.arange(len(array)) + index) % every == 0
    array[chosen, index] = repeated[chosen]
    return array


def _values(column: Any, dtype: np.dtype[Any], family: str) -> np.ndarray:
    text = dtype.kind == "U"
    if family in ("missing", "all-missing"):
        return np.array([np.nan]) if column.accepts_nan and dtype.kind == "f" else np.array([])
    if family == "category":
        known = [item for item in column.categories if isinstance(item, str) == text]
        return np.array(known, dtype=np.str_ if text else dtype) if known else np.array([])
    if family == "unseen":
        if not (column.categories and column.accepts_unknown):
            return np.array([])
        return (
            np.array(["unseen", "Ωmega", "köln ", "x" * 40]) if text else np.array([97, 98.0]).astype(dtype)
        )
    if text or not column.values:
        return np.array([])
    return _beside(np.array(column.values), family).astype(dtype)


def _beside(values: np.ndarray, family: str) -> np.ndarray:
    single = np.float32 if family.endswith("32") else np.float64
    side = {"b": -np.inf, "a": np.inf}.get(family[0])
    return values if side is None else np.nextafter(values.astype(single), single(side))


# --- comparing ----------------------------------------------------------------------------------


def _reference(converter: SklearnConverter, model: Any, feeds: Feeds, required: bool) -> Feeds | None:
    """The source's answers; None where it refuses rows that were made up."""
    try:
        return converter.predict(model, feeds)
    except ValueError:
        if required:
            raise
        return None


def _compare_all(session: Any, feeds: Feeds, expected: Feeds, family: str, options: Options) -> None:
    bounds = {name: _bound(array, options) for name, array in expected.items() if array.dtype.kind == "f"}
    _compare(run(session, feeds), expected, family, bounds)
    for row in range(min(3, len(next(iter(feeds.values()))))):
        one = run(session, {name: array[row : row + 1] for name, array in feeds.items()})
        _compare(
            one, {k: v[row : row + 1] for k, v in expected.items()}, f"{family}, row {row} alone", bounds
        )


def _bound(wanted: np.ndarray, options: Options) -> tuple[float, float]:
    """rtol, and atol for the largest answer of the family: sums cancel in single rows."""
    rtol = options.rtol or RTOL[str(wanted.dtype)]
    finite = np.abs(wanted[np.isfinite(wanted)])
    return rtol, rtol * float(finite.max()) if finite.size else rtol


def _compare(actual: Feeds, expected: Feeds, family: str, bounds: dict[str, tuple[float, float]]) -> None:
    assert sorted(actual) == sorted(expected)
    for name, wanted in expected.items():
        got, where = actual[name], f"{family}: {name}"
        assert got.shape == wanted.shape, f"{where} has shape {got.shape}, the source {wanted.shape}"
        if wanted.dtype.kind == "f":
            assert got.dtype == wanted.dtype, f"{where} is {got.dtype}, the source {wanted.dtype}"
            rtol, atol = bounds[name]
            np.testing.assert_allclose(got, wanted, rtol=rtol, atol=atol, err_msg=where, equal_nan=True)
        else:
            _equal(got, wanted, where)


def _equal(got: np.ndarray, wanted: np.ndarray, where: str) -> None:
    differs = (got.astype(wanted.dtype if wanted.dtype.kind != "U" else np.str_) != wanted).reshape(
        len(wanted), -1
    )
    wrong = np.flatnonzero(differs.any(axis=1))
    first = "" if not len(wrong) else f"row {wrong[0]}: {got[wrong[0]]} for {wanted[wrong[0]]}"
    assert not len(wrong), f"{where}: {len(wrong)} of {len(wanted)} differ, {first}"


def case_id(value: object) -> str:
    """What `repr` says, without addresses in memory: parallel test runners compare the ids."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
