"""Wait for a command: collect its output, sample its memory, end it and all it started."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

_TICK = 0.05
_DISK_TICKS = 10
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Seconds, resident bytes, processes and threads, bytes in the folder, bytes of output kept."""

    seconds: float
    memory: int
    processes: int
    disk: int
    output: int


class Process(Protocol):
    """A command that leads its own session; its output are pipes of this process."""

    pid: int
    stdout: IO[bytes]
    stderr: IO[bytes]

    def reap(self) -> tuple[int, int]:
        """Wait for its end; exit code, or minus the signal, and its largest resident size in bytes."""
        ...


class Child:
    """A command that this process started itself."""

    def __init__(self, started: subprocess.Popen[bytes]) -> None:
        assert started.stdout is not None
        assert started.stderr is not None
        self._started = started
        self.pid, self.stdout, self.stderr = started.pid, started.stdout, started.stderr

    def reap(self) -> tuple[int, int]:
        _, status, usage = os.wait4(self.pid, 0)
        self._started.returncode = os.waitstatus_to_exitcode(status)
        return self._started.returncode, usage.ru_maxrss * 1024


@dataclass(frozen=True, slots=True)
class End:
    """How a command ended. `status` is its exit code, or minus the signal that ended it."""

    status: int
    exceeded: str | None
    stdout: str
    stderr: str
    seconds: float
    peak_memory: int


class Capture:
    """The first and the last half of `limit` bytes of a stream."""

    def __init__(self, limit: int) -> None:
        self._half = limit // 2
        self._head = bytearray()
        self._tail = bytearray()
        self._total = 0

    def add(self, data: bytes) -> None:
        self._total += len(data)
        room = self._half - len(self._head)
        self._head += data[:room]
        self._tail += data[max(0, room) :]
        del self._tail[: -self._half]

    def text(self) -> str:
        lost = self._total - len(self._head) - len(self._tail)
        gap = f"\n[… {lost} bytes left out …]\n".encode() if lost else b""
        return (bytes(self._head) + gap + bytes(self._tail)).decode("utf-8", "replace")


def watch(process: Process, folder: Path, bounds: Bounds, token: str) -> End:
    """Wait for a command that leads its own session; kill it and all it started at a limit or its end.

    What has `token` in its environment was started by it, too, whatever session and parent it has.
    """
    captures = (Capture(bounds.output), Capture(bounds.output))
    running = _Running(process, {process.stdout: captures[0], process.stderr: captures[1]}, bounds)
    exceeded = None
    pidfd = os.pidfd_open(process.pid)
    try:
        while exceeded is None and not running.step(pidfd):
            exceeded = running.exceeded(folder)
    finally:
        running.end(token)
        os.close(pidfd)
    seconds = time.monotonic() - running.began
    return End(running.status, exceeded, captures[0].text(), captures[1].text(), seconds, running.peak)


class _Running:
    def __init__(self, process: Process, streams: dict[IO[bytes], Capture], bounds: Bounds) -> None:
        self.process = process
        self.streams = streams
        self.bounds = bounds
        self.began = time.monotonic()
        self.peak = 0
        self.status = 0
        self.ticks = 0
        self.inherited = resident(os.getpid())

    def step(self, pidfd: int) -> bool:
        """Read what is there; whether the command has ended."""
        places = {stream.fileno(): stream for stream in self.streams}
        ready, _, _ = select.select([pidfd, *places], [], [], _TICK)
        for place in ready:
            if place != pidfd:
                self._read(places[place])
        return pidfd in ready

    def exceeded(self, folder: Path) -> str | None:
        """The first limit that is exceeded now."""
        members = jailed(self.process.pid)
        used = sum(resident(pid) for pid in members)
        self.peak = max(self.peak, used)
        self.ticks += 1
        if used > self.bounds.memory:
            return "memory"
        if sum(threads(pid) for pid in members) > self.bounds.processes:
            return "processes"
        if self.ticks % _DISK_TICKS == 0 and size_of(folder, self.bounds.disk) > self.bounds.disk:
            return "disk"
        return "time" if time.monotonic() - self.began > self.bounds.seconds else None

    def end(self, token: str) -> None:
        """Kill the command and all it started, take the rest of the output, and reap."""
        self._kill_all(token)
        self._rest()
        self.status, largest = self.process.reap()
        # It knows what happened between two samples, but starts at the size of the process that forked.
        if largest > self.inherited * 1.1:
            self.peak = max(self.peak, largest)

    def _kill_all(self, token: str) -> None:
        # Stopped first: each one that is killed makes room for what another is about to start.
        stopped: set[int] = set()
        for _ in range(1000):
            fresh = {pid for pid in jailed(self.process.pid) if not is_dead(pid)} - stopped
            for pid in fresh:
                _send(pid, signal.SIGSTOP)
            stopped |= fresh
            if not fresh:
                break
        for pid in stopped:
            _send(pid, signal.SIGKILL)
        for pid in marked(token):
            _send(pid, signal.SIGKILL)

    def _rest(self) -> None:
        while self.streams:
            ready, _, _ = select.select([*self.streams], [], [], 0.2)
            if not ready:
                break
            for stream in ready:
                self._read(stream)
        for stream in self.streams:
            stream.close()

    def _read(self, stream: IO[bytes]) -> None:
        data = os.read(stream.fileno(), 1 << 16)
        self.streams[stream].add(data)
        if not data:
            self.streams.pop(stream)
            stream.close()


def jailed(leader: int) -> list[int]:
    """The leader of a session, all in the session, and all their descendants in other sessions."""
    parents: dict[int, int] = {}
    found: set[int] = set()
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (ids := _parent_and_session(entry.name)):
            parents[int(entry.name)] = ids[0]
            if ids[1] == leader:
                found.add(int(entry.name))
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in found and pid not in found}
        found |= more
        grown = bool(more)
    return sorted(found)


def marked(token: str) -> set[int]:
    """The processes that have a word in their environment."""
    entries = [entry.name for entry in os.scandir("/proc") if entry.name.isdigit()]
    return {int(name) for name in entries if token.encode() in _read_of(name, "environ", 1 << 16)}


def _parent_and_session(pid: str) -> tuple[int, int] | None:
    fields = _stat(pid)
    return (int(fields[1]), int(fields[3])) if fields else None


def is_dead(pid: int) -> bool:
    """Whether a process has ended, though its parent may not have taken note (a zombie)."""
    fields = _stat(pid)
    return not fields or fields[0] in (b"Z", b"X")


def resident(pid: int) -> int:
    """Resident bytes of a process, 0 once it has ended."""
    fields = _read_of(pid, "statm").split()
    return int(fields[1]) * _PAGE if fields else 0


def threads(pid: int) -> int:
    """Threads of a process, 0 once it has ended."""
    fields = _stat(pid)
    return int(fields[17]) if fields else 0


def _stat(pid: int | str) -> list[bytes]:
    """The fields of /proc/PID/stat after the name, which may hold spaces; none once it has ended."""
    return _read_of(pid, "stat").rpartition(b")")[2].split()


def _read_of(pid: int | str, name: str, length: int = 4096) -> bytes:
    # Many times a second for every process of the machine: pathlib would triple the cost.
    try:
        place = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""
    try:
        return os.read(place, length)
    except ProcessLookupError:
        return b""
    finally:
        os.close(place)


def size_of(folder: Path, enough: int) -> int:
    """Bytes on disk of all files below a folder, without following links; stops above `enough`."""
    total, todo = 0, [str(folder)]
    while todo and total <= enough:
        try:
            entries = list(os.scandir(todo.pop()))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                todo.append(entry.path)
            else:
                total += _blocks(entry)
    return total


def _blocks(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512
    except FileNotFoundError:
        return 0


def threads_of_user() -> int:
    """Threads of all processes of this user."""
    uid, count = os.getuid(), 0
    for entry in os.scandir("/proc"):
        try:
            if entry.name.isdigit() and entry.stat().st_uid == uid:
                count += threads(int(entry.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return count


def _send(pid: int, which: signal.Signals) -> None:
    try:
        os.kill(pid, which)
    except ProcessLookupError:
        return
