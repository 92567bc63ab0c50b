"""Gives a job to a worker process and reads back what it left, without trusting it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from zoo import errors, plugins, sandbox, warm, wire
from zoo.environments import stored
from zoo.environments.javas import find_java
from zoo.errors import ConversionError, WorkerError, ZooError
from zoo.jobs import Failure, Job
from zoo.records import Needs, record

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
    completed = _ran(job, folder, bounds, readable, environment or stored.current())
    out = folder / "out"
    if completed.ok:
        return out
    error = _reason(out) or _crashed(completed, bounds)
    error.detail = completed.stderr
    raise error


def prepare(action: str) -> None:
    """Have a warm worker, where such are kept, import what a job of this kind in our own Python needs."""
    kept = warm.current()
    if kept is not None:
        kept.prepare(_kind(Job(action), stored.current(), kept.folder))


def _ran(
    job: Job, folder: Path, bounds: Bounds, readable: tuple[Path, ...], environment: Environment
) -> sandbox.Completed:
    needs = plugins.needs(job.converter)
    limits = sandbox.Limits(seconds=bounds.seconds, memory=bounds.memory, loopback=needs.loopback)
    kept = warm.current()
    if kept is None or needs != Needs():
        argv = [str(environment.interpreter), "-m", "zoo.worker", str(folder)]
        java, named = _java(needs)
        variables = {**_variables(environment, job, folder / "code"), **named}
        return sandbox.run(argv, folder, limits, (*readable, environment.folder, *java), variables)
    kind = _kind(job, environment, kept.folder)
    readable = (*readable, environment.folder, kept.folder)
    with kept.borrowed(kind) as server:
        return sandbox.run_forked(server, "zoo.worker", folder, limits, readable, dict(kind.variables))


def _java(needs: Needs) -> tuple[tuple[Path, ...], dict[str, str]]:
    """Where the Java of a job lies, and the variable that names it; raises `MissingJavaError`."""
    if needs.java is None:
        return (), {}
    java = find_java(needs.java, needs.java_newest)
    return (java.home, *java.outside), {"JAVA_HOME": str(java.home)}


def _kind(job: Job, environment: Environment, folder: Path) -> warm.Kind:
    converter = (job.converter or "").partition(":")[0]
    modules = ("zoo.worker", *filter(None, [converter])) if converter else ("zoo.worker", *_RUNTIME)
    code = folder / f"{environment.lock or stored.CURRENT}-{converter}"
    variables = _variables(environment, job, code)
    return warm.Kind(environment.interpreter, modules, tuple(sorted(variables.items())))


_RUNTIME = ("onnxruntime", "onnx", "zoo.verification.inspection", "zoo.verification.runtime")
"""What the worker that runs ONNX files imports."""


def _variables(environment: Environment, job: Job, code: Path) -> dict[str, str]:
    """What a worker is told: where code of ours or a third party's is that its Python would not find.

    `code` is the folder for links to it. An isolated Python sees nothing else of the current environment.
    """
    theirs = plugins.package_of_target(job.converter)
    if environment.isolated:
        kept = {name: os.environ[name] for name in _PROCESSOR if name in os.environ}
        linked = {"PYTHONPATH": str(_links((*plugins.own_packages(), *theirs), code))}
        return {**environment.variables, **kept, **linked, "PYTHONNOUSERSITE": "1"}
    foreign = tuple(path for path in theirs if path not in plugins.own_packages())
    return {"PYTHONPATH": str(_links(foreign, code))} if foreign else {}


_PROCESSOR = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Old builds of OpenBLAS compute wrong results on processors that they do not know; who set these knows."""


def _links(packages: tuple[Path, ...], folder: Path) -> Path:
    """A folder in which only these packages can be imported."""
    folder.mkdir(exist_ok=True)
    for path in packages:
        link = folder / path.name
        with suppress(FileExistsError):
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
