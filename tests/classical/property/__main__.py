"""Draw many models: ``python -m tests.classical.property --examples 20000 --seed 1``.

Draws in child processes of a few hundred each (seed S, S+1, …), so that a crash of ONNX Runtime ends one
child and not the run. Every verdict but "same" goes as one JSON line to ``--log``; the last line of output is
the count. The end is 1 where any was wrong, crashed, unloadable or hung.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
CHUNK = 1500
LIMIT = 30
"""Seconds of processor time for one model."""
SILENCE = 600
"""Seconds without a line after which a child is killed: a fit in C cannot be interrupted."""
FAULTS = ("wrong", "crashed", "unloadable", "hang", "died")
"""Not among them: "stuck", a child that was killed while a source was being fitted or asked."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, default=Path("property.jsonl"))
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        return chunk(asked.examples, asked.seed)
    return run(asked.examples, asked.seed, asked.log)


def run(examples: int, seed: int, log: Path) -> int:
    """Chunk after chunk until `examples` models have been judged; neither models that cannot be fitted
    nor the same draw again count."""
    count: collections.Counter[str] = collections.Counter()
    known: set[str] = set()
    rows, number = 0, seed
    while len(known) < examples:
        for line in _lines(min(CHUNK, examples - len(known) + 50), number):
            if line["draw"] in known and line["kind"] not in ("stuck", "died"):
                continue
            count[line["kind"]] += 1
            rows += line.get("rows", 0)
            if line["kind"] not in ("unfit", "stuck"):
                known.add(line["draw"])
            if line["kind"] not in ("same", "unfit"):
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"seed": number, **line}, ensure_ascii=False) + "\n")
            if not sum(count.values()) % 200:
                _tell(f"seeds {seed}..{number}", len(known), count, rows)
        number += 1
    _tell(f"seeds {seed}..{number - 1}", len(known), count, rows)
    return 1 if any(count[fault] for fault in FAULTS) else 0


def _tell(seeds: str, models: int, count: collections.Counter[str], rows: int) -> None:
    print(f"{time.strftime('%H:%M:%S')} {seeds}: {models} models, {dict(count)}, {rows} rows", flush=True)


def _lines(examples: int, seed: int) -> Iterator[dict[str, Any]]:
    command = [
        sys.executable,
        "-m",
        "tests.classical.property",
        "--child",
        f"--examples={examples}",
        f"--seed={seed}",
    ]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **threads}, stdout=subprocess.PIPE, stderr=errors
        )
        last = "nothing yet"
        for line in map(json.loads, _until_silent(child)):
            last = line["draw"]
            if line["kind"] != "begun":
                yield line
        code = child.wait()
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - 400))
        said = errors.read().decode(errors="replace")
    if code:
        kind = "stuck" if code == -signal.SIGKILL else "died"
        yield {"kind": kind, "draw": last, "why": f"exit {code}: {said}"}


def _until_silent(child: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Lines of the child's; it is killed where none comes for `SILENCE`."""
    assert child.stdout is not None
    pending = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(child.stdout, selectors.EVENT_READ)
        while True:
            if not waiting.select(SILENCE):
                child.kill()
                return
            piece = os.read(child.stdout.fileno(), 1 << 16)
            if not piece:
                return
            *whole, pending = (pending + piece).split(b"\n")
            yield from whole


def chunk(examples: int, seed: int) -> int:
    """Judge draws in this process, one JSON line for each on stdout."""
    import hypothesis

    from tests.classical.property.draws import draws

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    signal.signal(signal.SIGPROF, _too_long)
    seen: set[str] = set()

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(draws())
    def one(draw: Any) -> None:
        # Hypothesis also varies what it has drawn by a word or two; other models say more.
        near = repr((draw.task, [name for name, _ in draw.steps], draw.data.seed))
        hypothesis.assume(near not in seen)
        seen.add(near)
        answers.write(json.dumps({"kind": "begun", "draw": repr(draw)}) + "\n")
        answers.write(json.dumps(_judged(draw), ensure_ascii=False) + "\n")

    one()
    return 0


class TooLongError(BaseException):
    """Passes through every `except Exception` on its way up."""


def _too_long(number: int, frame: Any) -> None:
    raise TooLongError


def _judged(draw: Any) -> dict[str, Any]:
    from tests.classical.property.judge import verdict

    signal.setitimer(signal.ITIMER_PROF, LIMIT)
    try:
        found = verdict(draw)
    except TooLongError:
        return {"kind": "hang", "draw": repr(draw), "why": f"more than {LIMIT} s"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return {"kind": found.kind, "why": found.why, "rows": found.rows, "draw": repr(draw)}


if __name__ == "__main__":
    sys.exit(main())
