"""Gives a job to a worker process and reads back what it left, without trusting it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from zoo import errors, plugins, sandbox, wire
from zoo.environments import stored
from zoo.errors import ConversionError, WorkerError, ZooError
from zoo.jobs import Failure, Job
from zoo.records import record

if TYPE_CHECKING:
    from zoo.environments import Environment

T = TypeVar("T")

RECORD_LIMIT = 64 << 20
"""Bytes; a worker's JSON larger than this is refused."""


@record
class Bounds:
    """What a worker may use: wall-clock seconds and bytes of memory."""

    seconds: float = 1800.0
    memory: int = 16 << 30


def run_job(
    job: Job,
    folder: Path,
    bounds: Bounds,
    readable: tuple[Path, ...],
    environment: Environment | None = None,
) -> Path:
    """Run `job` in a worker whose only writable place is `folder`; returns its ``out`` folder.

    The worker's Python is that of `environment`, by default the one that zoo runs in.
    Raises the worker's own `ZooError`, or a `WorkerError` when it crashed or met a limit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "job.json").write_text(wire.dumps(job), encoding="utf-8")
    chosen = environment or stored.current()
    argv = [str(chosen.interpreter), "-m", "zoo.worker", str(folder)]
    limits = sandbox.Limits(seconds=bounds.seconds, memory=bounds.memory)
    completed = sandbox.run(argv, folder, limits, (*readable, chosen.folder), _variables(chosen, job, folder))
    out = folder / "out"
    if completed.ok:
        return out
    error = _reason(out) or _crashed(completed, bounds)
    error.detail = completed.stderr
    raise error


def _variables(environment: Environment, job: Job, folder: Path) -> dict[str, str]:
    """What an isolated Python is told: where our code is, and nothing else of the current environment's."""
    if not environment.isolated:
        return {}
    kept = {name: os.environ[name] for name in _PROCESSOR if name in os.environ}
    code = {"PYTHONPATH": str(_links(job, folder / "code")), "PYTHONNOUSERSITE": "1"}
    return {**environment.variables, **kept, **code}


_PROCESSOR = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Old builds of OpenBLAS compute wrong results on processors that they do not know; who set these knows."""


def _links(job: Job, folder: Path) -> Path:
    """A folder in which only our packages, and that of the converter, can be imported."""
    folder.mkdir()
    for path in (*plugins.own_packages(), *plugins.package_of_target(job.converter)):
        link = folder / path.name
        if not link.is_symlink():
            link.symlink_to(path)
    return folder


def read_record(kind: type[T], folder: Path, name: str) -> T:
    """A record that a worker wrote; raises `WorkerError` when it is not what it should be."""
    try:
        return wire.loads(kind, sandbox.collect(folder, name, RECORD_LIMIT))
    except (OSError, TypeError, ValueError, KeyError) as error:
        raise WorkerError(f"the worker left an unreadable {name}: {error}") from error


def _reason(out: Path) -> ZooError | None:
    """The error that the worker wrote down, None where it could not or wrote nonsense."""
    try:
        return _rebuilt(read_record(Failure, out, "error.json"))
    except WorkerError:
        return None


def _rebuilt(failure: Failure) -> ZooError:
    kind = getattr(errors, failure.error, None)
    if isinstance(kind, type) and issubclass(kind, ZooError):
        return kind(failure.message, hint=failure.hint)
    return ConversionError(failure.message, hint="`-v` shows the traceback of the worker process.")


def _crashed(completed: sandbox.Completed, bounds: Bounds) -> WorkerError:
    if completed.timed_out:
        return WorkerError(
            f"the worker process was stopped after {bounds.seconds:g} s",
            hint="`--timeout SECONDS` allows more.",
        )
    if completed.out_of_memory:
        return WorkerError(
            f"the worker process needed more than {bounds.memory / 2**30:.1f} GiB of memory",
            hint="`--memory GIB` allows more.",
        )
    if completed.exceeded is not None:
        return WorkerError(f"the worker process was stopped at its limit of {completed.exceeded}")
    last = completed.stderr.strip().splitlines()[-1:] or ["no message"]
    how = f"signal {completed.signal}" if completed.signal else f"exit code {completed.exit_code}"
    return WorkerError(
        f"the worker process ended with {how}: {last[0][:300]}",
        hint="`-v` shows all that it printed.",
    )
