"""Wait for a command: collect its output, sample its memory, end it and all it started."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_TICK = 0.02
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class End:
    """How a command ended. `status` is its exit code, or minus the signal that ended it."""

    status: int
    timed_out: bool
    out_of_memory: bool
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


def watch(process: subprocess.Popen[bytes], seconds: float, memory: int, output: int) -> End:
    """Wait for a command that leads its own session; kill the whole session at a limit or its end."""
    assert process.stdout is not None
    assert process.stderr is not None
    captures = (Capture(output), Capture(output))
    running = _Running(process, {process.stdout: captures[0], process.stderr: captures[1]})
    limit = None
    pidfd = os.pidfd_open(process.pid)
    try:
        while limit is None and not running.step(pidfd):
            limit = running.exceeded(seconds, memory)
    finally:
        running.end()
        os.close(pidfd)
    return End(
        process.returncode,
        limit == "time",
        limit == "memory",
        captures[0].text(),
        captures[1].text(),
        time.monotonic() - running.began,
        running.peak,
    )


class _Running:
    def __init__(self, process: subprocess.Popen[bytes], streams: dict[IO[bytes], Capture]) -> None:
        self.process = process
        self.streams = streams
        self.began = time.monotonic()
        self.peak = 0
        self.inherited = resident(os.getpid())

    def step(self, pidfd: int) -> bool:
        """Read what is there; whether the command has ended."""
        places = {stream.fileno(): stream for stream in self.streams}
        ready, _, _ = select.select([pidfd, *places], [], [], _TICK)
        for place in ready:
            if place != pidfd:
                self._read(places[place])
        return pidfd in ready

    def exceeded(self, seconds: float, memory: int) -> str | None:
        used = sum(resident(pid) for pid in session(self.process.pid))
        self.peak = max(self.peak, used)
        if used > memory:
            return "memory"
        return "time" if time.monotonic() - self.began > seconds else None

    def end(self) -> None:
        """Kill the session, take the rest of the output, and reap."""
        for pid in session(self.process.pid):
            _kill(pid)
        _, status, usage = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        # ru_maxrss knows what happened between two samples, but starts at this process's own size.
        if usage.ru_maxrss * 1024 > self.inherited * 1.1:
            self.peak = max(self.peak, usage.ru_maxrss * 1024)
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


def session(leader: int) -> list[int]:
    """The processes of a session, its leader last, so that the leader's parent sees it end last."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and _session_of(entry.name) == leader:
            found.append(int(entry.name))
    return sorted(found, key=lambda pid: pid == leader)


def _session_of(pid: str) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
        return int(text.rpartition(b")")[2].split()[3])
    except (FileNotFoundError, ProcessLookupError):
        return None


def resident(pid: int) -> int:
    """Resident bytes of a process, 0 once it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
