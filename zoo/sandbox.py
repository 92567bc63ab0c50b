"""Run a command that must not be trusted, with a clean environment, limits, and the best jail there is."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from zoo.errors import WorkerError
from zoo.jail.watch import watch
from zoo.records import record

GIB = 1 << 30
_PASSED_ON = ("LANG", "LC_ALL", "TZ", "OMP_NUM_THREADS", "PYTHONHASHSEED", "ZOO_DEBUG")
_LAUNCH = Path(__file__).with_name("jail") / "launch.py"


@record
class Limits:
    """What a jailed command may use: seconds of wall clock, bytes of memory, of any file, of output."""

    seconds: float = 900.0
    memory: int = 8 * GIB
    file_size: int = 8 * GIB
    processes: int = 256
    output: int = 1 << 20
    """Bytes kept of each of stdout and stderr: the first and the last half of them."""


@record
class Completed:
    """How a jailed command ended. `level` names the jail; `peak_memory` is in bytes."""

    exit_code: int | None
    signal: int | None
    timed_out: bool
    out_of_memory: bool
    stdout: str
    stderr: str
    seconds: float
    peak_memory: int
    level: str

    @property
    def ok(self) -> bool:
        return self.exit_code == 0 and not self.timed_out and not self.out_of_memory


def level() -> str:
    """The best jail of this machine: ``"bwrap"``, ``"landlock+seccomp"`` or ``"rlimits"``."""
    return "rlimits"


def run(
    argv: list[str],
    folder: Path,
    limits: Limits | None = None,
    readable: tuple[Path, ...] = (),
    environment: Mapping[str, str] | None = None,
) -> Completed:
    """Run `argv` in `folder`, the only place it may write, and wait for its end.

    `readable` are further files and folders that it may read. `environment` is added to a clean
    one. Everything that the command started is killed when it ends or its time is over. Raises
    `WorkerError` where the command cannot be started at all.
    """
    limits = limits or Limits()
    folder = folder.resolve()
    (folder / "tmp").mkdir(exist_ok=True)
    command = [sys.executable, "-I", "-S", str(_LAUNCH), json.dumps({"limits": _rlimits(limits)}), *argv]
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment(folder, environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise WorkerError(f"cannot start {argv[0]}: {error}") from error
    end = watch(process, limits.seconds, limits.memory, limits.output)
    return Completed(
        exit_code=end.status if end.status >= 0 else None,
        signal=-end.status if end.status < 0 else None,
        timed_out=end.timed_out,
        out_of_memory=end.out_of_memory,
        stdout=end.stdout,
        stderr=end.stderr,
        seconds=end.seconds,
        peak_memory=end.peak_memory,
        level=level(),
    )


def _environment(folder: Path, more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    own = {"HOME": str(folder / "tmp"), "TMPDIR": str(folder / "tmp"), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    return {"LANG": "C.UTF-8", **kept, **own, **more}


def _rlimits(limits: Limits) -> dict[str, int]:
    return {
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": int(limits.seconds * (os.cpu_count() or 1)) + 1,
        # DATA, not AS: frameworks reserve far more address space than they touch.
        "RLIMIT_DATA": limits.memory + GIB,
        "RLIMIT_FSIZE": limits.file_size,
        "RLIMIT_NOFILE": 4096,
        "RLIMIT_NPROC": limits.processes + _processes_of_user(),
    }


def _processes_of_user() -> int:
    # The limit counts all threads of the user, not only those of the command.
    uid, count = os.getuid(), 0
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                count += sum(1 for _ in os.scandir(f"/proc/{entry.name}/task"))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return count


def collect(folder: Path, name: str, limit: int) -> bytes:
    """The bytes of a file that a jailed command left in `folder`, trusting nothing about it.

    Raises `WorkerError` unless `name` leads, without any link on the way, to a regular file with
    a single name and at most `limit` bytes.
    """
    descriptor = _open_beneath(folder, name)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
            raise WorkerError(f"{name} in the worker's folder is no regular file with a single name")
        if state.st_size > limit:
            raise WorkerError(f"{name} has {state.st_size} bytes, more than the allowed {limit}")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            data = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(data) > limit:
        raise WorkerError(f"{name} grew beyond the allowed {limit} bytes while it was read")
    return data


def collect_file(folder: Path, name: str, limit: int, destination: Path) -> Path:
    """As `collect`, for large files: copied to `destination`, which must not exist."""
    descriptor = _open_beneath(folder, name)
    try:
        state = os.fstat(descriptor)
        if not stat.S_ISREG(state.st_mode) or state.st_nlink != 1:
            raise WorkerError(f"{name} in the worker's folder is no regular file with a single name")
        if state.st_size > limit:
            raise WorkerError(f"{name} has {state.st_size} bytes, more than the allowed {limit}")
        with os.fdopen(os.dup(descriptor), "rb") as source, destination.open("xb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    finally:
        os.close(descriptor)
    return destination


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
