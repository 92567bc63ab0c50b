"""The verdict on one drawn model: same, refused, rounding, wrong, crashed or unloadable.

Numbers are the same within 1e-9 (1e-5 where the source answers in or was fitted on float32) of the larger of
themselves and the largest answer; labels and text are equal. Where they are not, the source is asked again
with one rounding added (`unsteady`): where its own answer moves as far, the difference is *rounding* and
counted apart.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.classical.harness import families, feeds_of, run, session_of
from tests.classical.property.data import Data
from tests.classical.property.draws import Draw, rows_to_judge
from tests.classical.property.unsteady import Source
from zoo.errors import ZooError
from zoo.records import Artifact, ConversionRequest, TensorSpec

Feeds = dict[str, np.ndarray]
BOUNDS = {"float64": 1e-9, "float32": 1e-5}
SHARE = 32.0
"""How many times the source's own movement a difference may be; see docs/verification.md (64 there)."""


@dataclass(frozen=True)
class Verdict:
    """`kind` and why; `rows` counts the compared rows."""

    kind: str
    why: str = ""
    rows: int = 0


def verdict(draw: Draw) -> Verdict:
    """Fit, convert, compare. ``unfit`` where the source cannot be fitted so."""
    # Drawn options and data make sources warn in every way they know; the verdict is what counts.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model, rows = draw.fit()
        except Exception as error:  # noqa: BLE001 - no model, nothing to judge
            return Verdict("unfit", f"{type(error).__name__}: {error}"[:200])
        return judged(model, rows, draw.data)


def judged(model: Any, rows: Any, data: Data) -> Verdict:
    """Convert a fitted model and compare on all families of rows."""
    from zoo.pipeline import framework_of
    from zoo.plugins import converter as converter_of

    converter = converter_of(framework_of(model))
    asked = _asked(rows, data, converter.framework)
    try:
        description, graph = converter.describe(model, asked), converter.convert(model, asked)
    except ZooError as error:
        return Verdict("refused" if error.hint else "crashed", str(error)[:200])
    except Exception as error:  # noqa: BLE001 - a crash is a verdict
        return Verdict("crashed", f"{type(error).__name__}: {error}"[:300])
    try:
        session = session_of(graph)
    except Exception as error:  # noqa: BLE001 - a verdict
        return Verdict("unloadable", str(error)[:300])
    source = Source(converter, model, data.dtype == "float32")
    made = {name: feeds_of(description, table) for name, table in rows_to_judge(rows, data).items()}
    known = families(description, made["given"])
    return compared(session, source, {**made, **{f"planted {name}": feeds for name, feeds in known.items()}})


def _asked(rows: Any, data: Data, framework: str) -> ConversionRequest:
    """A request; the rows' dtype is asked for where it is float32, in every other draw where integer."""
    inputs: tuple[TensorSpec, ...] = ()
    kind = getattr(rows, "dtype", None)
    if kind == np.float32 or (kind == np.int64 and data.seed % 2):
        inputs = (TensorSpec("X", str(kind), ("batch", rows.shape[1])),)
    if hasattr(rows, "columns") and data.seed % 2:
        names = [name for name in rows.columns if rows[name].dtype.kind in "fiub"]
        inputs = tuple(TensorSpec(name, str(rows[name].dtype), ("batch", 1)) for name in names)
    return ConversionRequest(Artifact(Path("live"), "0" * 64, 0), framework, "live", inputs=inputs)


def compared(session: Any, source: Source, made: dict[str, Feeds]) -> Verdict:
    """The worst verdict over all families, in one batch and some rows alone."""
    count, excused = 0, ""
    for family, feeds, expected, got in _answered(session, source, made):
        if isinstance(got, Exception):
            return Verdict("crashed", f"{family}: {got}"[:300], count)
        count += len(next(iter(feeds.values())))
        faults = [f for f in (_fault(name, got, expected, (source, feeds)) for name in expected) if f]
        for fault in faults:
            if fault.kind == "wrong":
                return Verdict("wrong", f"{family}: {fault.why}", count)
            excused = excused or f"{family}: {fault.why}"
    return Verdict("rounding" if excused else "same", excused, count)


def _answered(
    session: Any, source: Source, made: dict[str, Feeds]
) -> Iterator[tuple[str, Feeds, Feeds, Any]]:
    """(family, feeds, source's answers, graph's answers or the error), where the source answers."""
    together = {name: np.concatenate([feeds[name] for feeds in made.values()]) for name in made["given"]}
    expected = source.answers(together)
    if expected is None:
        for family, feeds in made.items():
            found = source.answers(feeds)
            if found is not None:
                yield family, feeds, found, _ran(session, feeds)
    else:
        got, start = _ran(session, together), 0
        for family, feeds in made.items():
            rows = slice(start, start + len(next(iter(feeds.values()))))
            start = rows.stop
            cut = got if isinstance(got, Exception) else {name: array[rows] for name, array in got.items()}
            yield family, feeds, {name: array[rows] for name, array in expected.items()}, cut
    for family in list(made)[:: max(1, len(made) // 3)]:
        one = {name: array[:1] for name, array in made[family].items()}
        alone = source.answers(one)
        if alone is not None:
            yield f"{family}, row 0 alone", one, alone, _ran(session, one)


def _ran(session: Any, feeds: Feeds) -> Any:
    try:
        return run(session, feeds)
    except Exception as error:  # noqa: BLE001 - a verdict
        return error


def _fault(name: str, got: Feeds, expected: Feeds, asked: tuple[Source, Feeds]) -> Verdict | None:
    wanted, found = expected[name], got.get(name)
    if found is None or found.shape != wanted.shape:
        return Verdict(
            "wrong", f"{name} has shape {getattr(found, 'shape', None)}, the source {wanted.shape}"
        )
    if wanted.dtype.kind != "f":
        return _other_labels(name, got, expected, asked)
    bad = far(found, wanted, _bound(wanted, asked))
    if not bad.any():
        return None
    row = int(np.flatnonzero(bad)[0])
    why = f"{name}: {bad.sum()} of {len(wanted)} rows, row {row}: {found[row]} for {wanted[row]}"[:300]
    return Verdict("rounding" if _excused(name, found, wanted, asked) else "wrong", why)


def _bound(wanted: np.ndarray, asked: tuple[Source, Feeds]) -> float:
    """By the coarser dtype of the answer and of what the model was fitted on."""
    return BOUNDS["float32" if asked[0].float32 else str(wanted.dtype)]


def far(found: np.ndarray, wanted: np.ndarray, bound: float) -> np.ndarray:
    """[N] True for rows that differ by more than `bound` of the larger of the element and the largest."""
    finite = np.abs(wanted[np.isfinite(wanted)])
    scale = float(finite.max()) if finite.size else 1.0
    close = np.isclose(found.astype(np.float64), wanted, rtol=bound, atol=bound * scale, equal_nan=True)
    return np.asarray(~close.reshape(len(wanted), -1).all(axis=1))


def _excused(name: str, found: np.ndarray, wanted: np.ndarray, asked: tuple[Source, Feeds]) -> bool:
    """Whether the source's own answers move as far by one rounding.

    A sum in float32 that overflows is infinite, or NaN where another order of adding meets both infinities.
    """
    source, feeds = asked
    if source.float32:
        found = np.where(np.isfinite(found) | np.isfinite(wanted), found, wanted)
    moves = [m[name] for m in source.moved(feeds) if name in m and m[name].shape == wanted.shape]
    if not moves:
        return False
    with np.errstate(all="ignore"):
        own = np.nan_to_num(np.max([_distance(m, wanted) for m in moves], axis=0))
        error = _distance(found, wanted)
    excess = far(found, wanted, _bound(wanted, asked))
    allowed = SHARE * np.maximum(own.reshape(len(own), -1).max(axis=1), np.median(own))
    return bool((error.reshape(len(error), -1).max(axis=1)[excess] <= allowed[excess]).all())


def _distance(some: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Absolute; infinite where only one is NaN."""
    gap = np.abs(some.astype(np.float64) - wanted)
    odd = np.isnan(some) != np.isnan(wanted)
    return np.asarray(np.where(odd, np.finfo(np.float64).max, np.where(np.isnan(gap), 0.0, gap)))


def _other_labels(name: str, got: Feeds, expected: Feeds, asked: tuple[Source, Feeds]) -> Verdict | None:
    wanted, found = expected[name], got[name]
    same = found.astype(np.str_ if wanted.dtype.kind == "U" else wanted.dtype) == wanted
    bad = np.flatnonzero(~same.reshape(len(wanted), -1).all(axis=1))
    if not len(bad):
        return None
    why = f"{name}: {len(bad)} of {len(wanted)} rows, row {bad[0]}: {found[bad[0]]} for {wanted[bad[0]]}"
    near = all(_near_tie(expected, got, int(row)) for row in bad) or _unsteady(name, wanted, bad, asked)
    return Verdict("rounding" if near else "wrong", why)


def _near_tie(expected: Feeds, got: Feeds, row: int) -> bool:
    """Whether the two best scores of a row are as near as rounding, yet apart on one side at least.

    Where both sides have an exact tie nothing was rounded: another label is another rule. Several outputs
    have a score each, which is beside 0 where its label is another.
    """
    for name in ("probabilities", "scores"):
        if name in expected:
            finite = np.abs(expected[name][np.isfinite(expected[name])])
            bound = BOUNDS[str(expected[name].dtype)] * max(1.0, float(finite.max(initial=0.0)))
            other = np.atleast_1d(expected["label"][row] != got["label"][row])
            gaps = [_gap(np.atleast_1d(side[name][row]), other) for side in (expected, got)]
            return max(gaps) > 0 and max(gaps) <= bound
    return False


def _gap(scores: np.ndarray, other: np.ndarray) -> float:
    """Between the two best scores; of several outputs, the largest score of those whose label is another."""
    if scores.size == other.size:
        return float(np.abs(scores[other]).max())
    ranked = np.sort(scores)[::-1]
    return abs(float(ranked[0] - ranked[1]))


def _unsteady(name: str, wanted: np.ndarray, bad: np.ndarray, asked: tuple[Source, Feeds]) -> bool:
    """Whether the source's own labels of these rows change by one rounding."""
    source, feeds = asked
    moves = [moved[name] for moved in source.moved(feeds)]
    return bool(moves) and all(any(np.any(m[row] != wanted[row]) for m in moves) for row in bad)
