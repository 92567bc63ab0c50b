"""Run one client in a process and take its time, CPU and memory."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Run:
    """One measurement: seconds of the transfer, of the whole process and of CPU; peak memory in MB."""

    seconds: float
    process: float
    cpu: float
    memory: float


@dataclass
class Series:
    """The runs of one client in one scenario."""

    client: str
    runs: list[Run] = field(default_factory=list)

    def median(self, name: str) -> float:
        return float(statistics.median(getattr(run, name) for run in self.runs))

    def best(self, name: str) -> float:
        return float(min(getattr(run, name) for run in self.runs))


class ClientFailedError(RuntimeError):
    """A client did not finish; the message has what it printed."""


def measured(command: list[str]) -> Run:
    """Run `command`. The last line of its output, where it is a number, is the transfer's seconds."""
    import time

    with tempfile.TemporaryFile() as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        elapsed = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    if process.returncode:
        raise ClientFailedError(f"{' '.join(command)[:200]}: exit {process.returncode}\n{text[-2000:]}")
    return Run(_seconds(text, elapsed), elapsed, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def _seconds(text: str, otherwise: float) -> float:
    try:
        return float(text.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return otherwise


def python_client(name: str, order: dict[str, object]) -> list[str]:
    """The command of a client in `benchmarks.fetch.client`."""
    return [sys.executable, "-m", "benchmarks.fetch.client", name, json.dumps(order)]


@contextmanager
def serving(folder: Path, *options: str) -> Iterator[str]:
    """A server process on this machine; yields its address."""
    command = [sys.executable, "-m", "benchmarks.fetch.server", str(folder), *options]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def cleared(path: Path) -> Path:
    """`path` with nothing at it."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    return path
