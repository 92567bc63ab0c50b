"""One model, converted by us and by plain upstream, each judged against its source."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from zoo.errors import UnsupportedModelError, ZooError

OURS = 1e-7
"""Largest difference of ours, relative to the larger of the number and the largest answer."""
SINGLE = 1e-5
"""The same for rows or answers in float32, in which the source adds in an order of its own."""
UPSTREAM = 1e-3
"""The same for upstream, which computes in float32."""


def ours(model: Any, families: dict[str, Any]) -> tuple[str, str]:
    """(verdict, why): right, wrong, refused, crashed or unloadable."""
    from converters.from_sklearn import SklearnConverter
    from zoo.records import Artifact, ConversionRequest, TensorSpec

    first = families["given"]
    inputs = ()
    if getattr(first, "dtype", None) == np.float32:
        inputs = (TensorSpec("X", "float32", ("batch", first.shape[1])),)
    asked = ConversionRequest(Artifact(Path("m.joblib"), "0" * 64, 0), "sklearn", "joblib", inputs=inputs)
    converter = SklearnConverter()
    try:
        description = converter.describe(model, asked)
        graph = converter.convert(model, asked)
    except UnsupportedModelError as error:
        return "refused", str(error)
    except ZooError as error:
        return "refused", f"{type(error).__name__}: {error}"
    except Exception as error:  # noqa: BLE001 - a crash is a verdict
        return "crashed", f"{type(error).__name__}: {error}"
    return _judged(graph.SerializeToString(), converter, (model, description), families)


def _judged(
    graph: bytes, converter: Any, source: tuple[Any, Any], families: dict[str, Any]
) -> tuple[str, str]:
    model, description = source
    try:
        session = session_of(graph)
    except Exception as error:  # noqa: BLE001 - a verdict
        return "unloadable", str(error)[:300]
    for family, rows in families.items():
        feeds = feeds_of(description, rows)
        try:
            expected = converter.predict(model, feeds)
        except Exception:  # noqa: BLE001 - the source refuses these rows; nothing to compare
            continue
        try:
            ready = {k: v.astype(object) if v.dtype.kind == "U" else v for k, v in feeds.items()}
            got = dict(zip([o.name for o in session.get_outputs()], session.run(None, ready), strict=True))
        except Exception as error:  # noqa: BLE001 - a verdict
            return "crashed", f"{family}: {error}"[:300]
        for name, wanted in expected.items():
            fault = differs(got[name], wanted, SINGLE if _single(feeds, wanted) else OURS)
            if fault:
                return "wrong", f"{family}: {name}: {fault}"
    return "right", ""


def _single(feeds: dict[str, np.ndarray], wanted: np.ndarray) -> bool:
    return any(array.dtype == np.float32 for array in (wanted, *feeds.values()))


def feeds_of(description: Any, rows: Any) -> dict[str, np.ndarray]:
    """Rows as the source takes them, as the graph's inputs."""
    specs = description.signature.inputs
    if hasattr(rows, "columns"):
        return {spec.name: _column(rows[spec.name].to_numpy(), spec.dtype).reshape(-1, 1) for spec in specs}
    if isinstance(rows, list):
        return {"text": np.array(rows, dtype=np.str_)}
    if len(specs) == 1:
        return {specs[0].name: _column(rows.ravel(), specs[0].dtype).reshape(rows.shape)}
    return {spec.name: _column(rows[:, i], spec.dtype).reshape(-1, 1) for i, spec in enumerate(specs)}


def _column(values: np.ndarray, dtype: str) -> np.ndarray:
    if dtype == "string":
        return np.array(["" if v is None or v != v else str(v) for v in values], dtype=np.str_)
    with np.errstate(invalid="ignore"):
        return values.astype(dtype)


def session_of(graph: bytes) -> Any:
    """ONNX Runtime on one thread."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])


def differs(got: Any, wanted: np.ndarray, bound: float) -> str | None:
    """How an answer differs from the source's; None where it does not."""
    got = np.asarray(got)
    if got.shape != wanted.shape and got.size == wanted.size:
        got = got.reshape(wanted.shape)
    if got.shape != wanted.shape:
        return f"shape {got.shape} for {wanted.shape}"
    if wanted.dtype.kind != "f":
        same = got.astype(wanted.dtype if wanted.dtype.kind != "U" else np.str_) == wanted
        bad = np.flatnonzero(~same.reshape(len(wanted), -1).all(axis=1))
        return f"{len(bad)} of {len(wanted)}: {got[bad[0]]} for {wanted[bad[0]]}" if len(bad) else None
    finite = np.abs(wanted[np.isfinite(wanted)])
    scale = float(finite.max()) if finite.size else 1.0
    close = np.isclose(got.astype(np.float64), wanted, rtol=bound, atol=bound * scale, equal_nan=True)
    bad = np.flatnonzero(~close.reshape(len(wanted), -1).all(axis=1))
    return f"{len(bad)} of {len(wanted)}: {got[bad[0]]} for {wanted[bad[0]]}"[:200] if len(bad) else None


def upstream(model: Any, families: dict[str, Any]) -> tuple[str, str]:
    """The same of upstream, called as its documentation says, with float32 rows."""
    from benchmarks.sweep_classical.upstream import answers, convert

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            graph = convert(model, families["given"])
        except (NotImplementedError, RuntimeError, TypeError, ValueError) as error:
            return "refused", f"{type(error).__name__}: {error}"[:200]
        except Exception as error:  # noqa: BLE001 - a verdict
            return _refusal(error)
        try:
            session = session_of(graph)
        except Exception as error:  # noqa: BLE001 - a verdict
            return "unloadable", str(error)[:200]
        for family, rows in families.items():
            verdict = answers(session, model, rows)
            if verdict is not None:
                return verdict[0], f"{family}: {verdict[1]}"
    return "right", ""


def _refusal(error: Exception) -> tuple[str, str]:
    kind = type(error).__name__
    return ("refused" if kind.startswith("Missing") else "crashed"), f"{kind}: {error}"[:200]
