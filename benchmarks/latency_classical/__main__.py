"""Latency of classical graphs: ours, upstream's and the source: ``python -m benchmarks.latency_classical``.

All three answer the same rows in one process and take turns, a block of calls each; the figures are medians
over the rounds, and ratios are medians of the rounds' ratios, which holds when the machine's speed drifts.
Each runs on one thread and its processor time counts: what other programs take does not. Ours is fed the
dtype it asks for (float64, float32 for XGBoost), upstream float32, as its documentation shows. Writes the
table into ``docs/performance.md``.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.latency_classical.models import Timed, models

ROOT = Path(__file__).resolve().parents[2]
MARK = ("<!-- latency: begin -->", "<!-- latency: end -->")
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
BLOCK = 0.02
"""Seconds that a block of calls takes, about."""
MOST_OF_UPSTREAM, LEAST_OVER_SOURCE = 1.3, 20.0


@dataclass(frozen=True)
class Row:
    """Medians in seconds per call of one batch size; None where upstream does not convert or is wrong."""

    name: str
    batch: int
    ours: float
    over_upstream: float | None
    under_source: float
    bounded: bool


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--no-docs", action="store_true", help="write nothing")
    asked = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**os.environ, **ONE_THREAD})
    warnings.simplefilter("ignore")  # the converters' own, about their options
    rows = []
    for timed in models(asked.only):
        rows += measured(timed, asked.rounds)
        print("\n".join(map(_line, rows[-2:])), flush=True)
    if not asked.no_docs and not asked.only:
        _write(rows)
    return 1 if any(_missed(row) for row in rows) else 0


def measured(timed: Timed, rounds: int) -> list[Row]:
    """One row, and all rows of the model at once."""
    ours, upstream = _ours(timed.model), _upstream(timed.model, timed.rows)
    found = []
    for batch in (1, len(timed.rows)):
        part = timed.rows[:batch]
        calls = [_call(ours, part), _source(timed.model, part)]
        right = upstream is not None and _agree(upstream, timed, part)
        if upstream is not None and right:
            calls.append(_call(upstream, part))
        times = _taken(calls, rounds)
        over = statistics.median(a / c for a, c in zip(times[0], times[2], strict=True)) if right else None
        under = statistics.median(b / a for a, b in zip(times[0], times[1], strict=True))
        found.append(
            Row(timed.name, batch, statistics.median(times[0]), over, under, timed.bounded and batch == 1)
        )
    return found


def _taken(calls: list[Callable[[], Any]], rounds: int) -> list[list[float]]:
    """Seconds per call of each, round by round."""
    repeats = []
    for call in calls:
        call()
        start = time.process_time()
        call()
        repeats.append(max(1, int(BLOCK / (time.process_time() - start))))
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for place, (call, count) in enumerate(zip(calls, repeats, strict=True)):
            start = time.process_time()
            for _ in range(count):
                call()
            times[place].append((time.process_time() - start) / count)
    return times


def _ours(model: Any) -> Any:
    from zoo.pipeline import framework_of
    from zoo.plugins import converter as converter_of
    from zoo.records import Artifact, ConversionRequest

    converter = converter_of(framework_of(model))
    asked = ConversionRequest(Artifact(Path("live"), "0" * 64, 0), converter.framework, "live")
    return _session(converter.convert(model, asked).SerializeToString())


def _upstream(model: Any, rows: Any) -> Any:
    from benchmarks.sweep_classical.upstream import convert

    if isinstance(rows, list):
        return _session(_texts(model))
    return _session(convert(model, rows))


def _texts(model: Any) -> bytes:
    """As `convert`, with a locale that exists on machines without en_US."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import StringTensorType

    options = {id(model): {"zipmap": False}, id(model[0]): {"locale": "C.UTF-8"}}
    made = to_onnx(model, initial_types=[("text", StringTensorType([None, 1]))], options=options)
    graph: bytes = made.SerializeToString()
    return graph


def _session(graph: bytes) -> Any:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])


def _call(session: Any, rows: Any) -> Callable[[], Any]:
    entry = session.get_inputs()[0]
    if isinstance(rows, list):
        array = np.array(rows, dtype=object)
        feeds = {entry.name: array if len(entry.shape) == 1 else array.reshape(-1, 1)}
    else:
        feeds = {entry.name: rows.astype(np.float32 if entry.type == "tensor(float)" else np.float64)}
    return lambda: session.run(None, feeds)


def _source(model: Any, rows: Any) -> Callable[[], Any]:
    """The source's answers to the same question: labels and probabilities, or values."""
    if hasattr(model, "predict_proba"):
        return lambda: (model.predict(rows), model.predict_proba(rows))
    return lambda: model.predict(rows)


def _agree(session: Any, timed: Timed, rows: Any) -> bool:
    """Whether upstream's graph is right enough to be compared with: all labels, or numbers to 1e-3."""
    got = np.asarray(_call(session, rows)()[0]).reshape(-1)
    seen = rows if isinstance(rows, list) else rows.astype(np.float32)
    wanted = np.asarray(timed.model.predict(seen))
    if wanted.dtype.kind == "f":
        return bool(np.allclose(got, wanted, rtol=1e-3, atol=1e-3 * np.abs(wanted).max()))
    return bool(np.mean(got == wanted) > 0.99)


def _missed(row: Row) -> bool:
    slow = row.over_upstream is not None and row.over_upstream > MOST_OF_UPSTREAM
    return slow or (row.bounded and row.under_source < LEAST_OVER_SOURCE)


def _line(row: Row) -> str:
    over = "upstream is wrong" if row.over_upstream is None else f"{row.over_upstream:.2f}×"
    name, missed = row.name, " ✗" if _missed(row) else ""
    return f"| {name} | {row.batch} | {row.ours * 1e6:.0f} µs | {over} | {row.under_source:.1f}×{missed} |"


def _write(rows: list[Row]) -> None:
    page = ROOT / "docs" / "performance.md"
    head, rest = page.read_text(encoding="utf-8").split(MARK[0])
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    table = "| model | rows | ours | of upstream's time | faster than the source |\n|---|---|---|---|---|\n"
    body = f"{time.strftime('%Y-%m-%d')}, {machine}\n\n{table}" + "\n".join(map(_line, rows))
    page.write_text(f"{head}{MARK[0]}\n{body}\n{MARK[1]}{rest.split(MARK[1])[1]}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
