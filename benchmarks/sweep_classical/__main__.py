"""Sweep classical models: ours against plain upstream, in one run: ``make sweep-classical``.

Every model is fitted, converted by us and by skl2onnx, onnxmltools or CatBoost's exporter, and judged on rows
that the source answers, in child processes with a time limit. Writes docs/classical-sweep.md. `--quick` takes
every tenth model and writes nothing; `--only TEXT` those whose name contains it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import selectors
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 120.0
"""Seconds of processor time for one model, both conversions and all rows included."""
PATIENCE = 10
"""How many times as long a model may take by the clock: other work on the machine is no fault of its."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every tenth model; writes nothing")
    parser.add_argument("--only", default="", help="models whose family and name contain this")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--records", type=Path, help="also write one JSON line per model here")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="models at a time")
    asked = parser.parse_args(arguments)
    if asked.child:
        return serve()
    from benchmarks.sweep_classical import report
    from benchmarks.sweep_classical.models import cases

    names = [f"{case.family}: {case.name}" for case in cases()]
    chosen = [i for i, name in enumerate(names) if asked.only in name]
    records = swept(chosen[::10] if asked.quick else chosen, names, asked)
    print(report.table(records))
    if not asked.quick and not asked.only:
        (ROOT / "docs" / "classical-sweep.md").write_text(report.page(records), encoding="utf-8")
    return 1 if any(record["ours"] in ("wrong", "crashed", "unloadable", "hang") for record in records) else 0


def swept(chosen: list[int], names: list[str], asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Judge the chosen models in `asked.jobs` children; one that dies or hangs is replaced."""
    children: queue.SimpleQueue[Child] = queue.SimpleQueue()
    for _ in range(asked.jobs):
        children.put(Child())

    def verdict(index: int) -> dict[str, Any]:
        child = children.get()
        try:
            answer = child.ask(index)
        finally:
            children.put(child)
        family, _, name = names[index].partition(": ")
        return {"family": family, "name": name, **answer}

    records = []
    with ThreadPoolExecutor(asked.jobs) as pool:
        for record in pool.map(verdict, chosen):
            records.append(record)
            _said(record, f"{len(records)}/{len(chosen)}", asked.records)
    for _ in range(asked.jobs):
        children.get().stop()
    return [record for record in records if record["ours"] != "unfit"]


def _said(record: dict[str, Any], count: str, path: Path | None) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(record, ensure_ascii=False) + "\n")
    said = f"{record['family']}: {record['name']}: {record['ours']} | {record['upstream']}"
    print(f"{count} {said}", file=sys.stderr)


class Child:
    """A child process that judges the models it is asked about."""

    def __init__(self) -> None:
        self.process = self._started()

    def _started(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "benchmarks.sweep_classical", "--child"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, index: int) -> dict[str, str]:
        """The verdicts on a model: keys ours, why, upstream, upstream_why."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{index}\n")
        self.process.stdin.flush()
        ready = self._answered()
        line = self.process.stdout.readline() if ready else ""
        if line.startswith("{") and line.endswith("}\n"):
            found: dict[str, str] = json.loads(line)
            return found
        verdict = "crashed" if ready else "hang"
        self.stop()
        self.process = self._started()
        return {"ours": verdict, "why": "the process died" if ready else "time limit", "upstream": verdict}

    def _answered(self) -> bool:
        """Wait for an answer, or the end of the process; False where it takes too long."""
        begun, used = time.monotonic(), _processor_seconds(self.process.pid)
        with selectors.DefaultSelector() as waiting:
            assert self.process.stdout is not None
            waiting.register(self.process.stdout, selectors.EVENT_READ)
            while time.monotonic() - begun < PATIENCE * LIMIT:
                if waiting.select(1.0):
                    return True
                if _processor_seconds(self.process.pid) - used > LIMIT:
                    return False
        return False

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()


def _processor_seconds(pid: int) -> float:
    """Processor time of a process so far; 0 where the system does not tell (then the clock alone counts)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def serve() -> int:
    """Judge models by the numbers that arrive on stdin; one JSON line for each on the real stdout."""
    from benchmarks.sweep_classical.models import cases

    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    known = cases()
    for line in sys.stdin:
        answers.write(json.dumps(judged(known[int(line)])) + "\n")
        answers.flush()
    return 0


def judged(case: Any) -> dict[str, str]:
    """The verdicts on one model; "unfit" where the source cannot be fitted."""
    from benchmarks.sweep_classical import judge

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model, rows = case.fit()
        except Exception as error:  # noqa: BLE001 - no model, nothing to judge
            return {"ours": "unfit", "why": f"{type(error).__name__}: {error}"[:200], "upstream": "unfit"}
        started = time.perf_counter()
        verdict, why = judge.ours(model, rows)
        seconds = time.perf_counter() - started
        other, reason = judge.upstream(model, rows)
    return {
        "ours": verdict,
        "why": why,
        "seconds": f"{seconds:.2f}",
        "upstream": other,
        "upstream_why": reason,
    }


if __name__ == "__main__":
    sys.exit(main())
