"""The parent's end of `zoo.jail.forkserver`: start it, and have it fork a jailed child."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from zoo.errors import WorkerError
from zoo.jail.forkserver import MESSAGE


class Forked:
    """A child of a server, as `zoo.jail.watch` wants it."""

    def __init__(self, channel: socket.socket, pid: int, streams: tuple[IO[bytes], IO[bytes]]) -> None:
        self.pid, (self.stdout, self.stderr) = pid, streams
        self._channel = channel

    def reap(self) -> tuple[int, int]:
        status, largest = _answered(self._channel, b".")
        return status, largest


class ForkServer:
    """A process of `python` that imports `modules` in the background, from now until `close`."""

    def __init__(self, python: Path, modules: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self.python = python
        self._home = tempfile.TemporaryDirectory(prefix="zoo-warm-")
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        argv = [str(python), "-m", "zoo.jail.forkserver", str(theirs.fileno()), *modules]
        home = {"HOME": self._home.name, "TMPDIR": self._home.name}
        with theirs, tempfile.TemporaryFile() as self._said:
            self._process = subprocess.Popen(
                argv,
                cwd=self._home.name,
                env={**environment, **home},
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def fork(self, lines: list[str], module: str, folder: Path, environment: Mapping[str, str]) -> Forked:
        """A child that does `lines` first and then what ``python -m module folder`` does.

        One child at a time. Raises `WorkerError` where the server has ended.
        """
        asked = {"lines": lines, "module": module, "folder": str(folder), "environment": dict(environment)}
        data = json.dumps(asked).encode()
        if len(data) > MESSAGE:
            raise WorkerError(f"{len(data)} bytes of instructions are too many for a warm worker")
        (out, their_out), (err, their_err) = os.pipe(), os.pipe()
        with os.fdopen(their_out, "wb") as a, os.fdopen(their_err, "wb") as b:
            streams = os.fdopen(out, "rb"), os.fdopen(err, "rb")
            try:
                pid = _answered(self._channel, data, [a.fileno(), b.fileno()])
            except WorkerError:
                for stream in streams:
                    stream.close()
                raise
        return Forked(self._channel, pid, streams)

    def close(self) -> None:
        """End the server and what it forked."""
        self._channel.close()
        self._process.kill()
        self._process.wait()
        self._home.cleanup()


def _answered(channel: socket.socket, data: bytes, descriptors: Sequence[int] = ()) -> Any:
    """What the server says to `data`."""
    try:
        socket.send_fds(channel, [data], list(descriptors))
        said = channel.recv(1 << 12)
    except OSError:
        said = b""
    if not said:
        raise WorkerError("the warm worker has ended")
    return json.loads(said)
