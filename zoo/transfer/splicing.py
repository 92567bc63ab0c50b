"""A body from a plain socket into a file without passing through this program, where Linux can.

`splice` hands the kernel's pages on, which saves one of two copies; a second thread hashes them as
they lie in the page cache. Only large bodies of known length and no coding: TLS is decrypted here.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import queue
import select
import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from zoo.transfer import diagnosis

if TYPE_CHECKING:
    from io import FileIO

    from zoo.transfer.streaming import Body, Digest, Meter

LEAST = 32 * 2**20
"""Bytes from which a body is worth a pipe and a thread."""
AT_ONCE = 2**20
WINDOW = 2 * 2**20
"""Bytes that are mapped at once to be hashed."""
_SET_PIPE_SIZE = 1031  # linux/fcntl.h; fcntl has the name from Python 3.10 on, on Linux only
_CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM})


def suits(body: Body, room: int) -> bool:
    """Whether the rest of `body` may be spliced."""
    plain = type(body.socket) is socket.socket and hasattr(os, "splice")
    length = body.left
    return plain and length is not None and LEAST <= length <= room


class MappedHash:
    """A digest, in a thread of its own, of a file that grows."""

    def __init__(self, digest: Digest, file: FileIO) -> None:
        self._digest = digest
        self._file = file
        self._at = file.tell()
        self._told: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="zoo-sha256", daemon=True)
        self._announced = self._at

    def __enter__(self) -> MappedHash:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._told.put(self._file.tell())
        self._told.put(None)
        self._thread.join()

    def grown(self, position: int) -> None:
        """The file is there up to `position`."""
        if position - self._announced >= WINDOW:
            self._announced = position
            self._told.put(position)

    def _run(self) -> None:
        while (until := self._told.get()) is not None:
            while self._at < until:
                self._hash(min(until, self._at + WINDOW))

    def _hash(self, stop: int) -> None:
        begin = self._at - self._at % mmap.ALLOCATIONGRANULARITY
        with (
            mmap.mmap(self._file.fileno(), stop - begin, access=mmap.ACCESS_READ, offset=begin) as window,
            memoryview(window) as view,
            view[self._at - begin :] as fresh,
        ):
            self._digest.update(fresh)
        self._at = stop


class _Pipe:
    def __init__(self) -> None:
        import fcntl

        self.out, self.into = os.pipe2(os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # the user has many pipes: a small one is slower, no more
            fcntl.fcntl(self.into, _SET_PIPE_SIZE, AT_ONCE)

    def __enter__(self) -> _Pipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self.into)
        os.close(self.out)


def splice(body: Body, sink: FileIO, digest: Digest, meter: Meter) -> int:
    """Move the rest of `body` to `sink`; returns how many bytes, less than all where it is slow.

    What came before an error is written and hashed before the error is raised. Where the file
    system cannot do it, nothing or a part is moved, and the body can be read on.
    """
    done = 0
    with _Pipe() as pipe, MappedHash(digest, sink) as hashing:
        while body.left and not meter.is_slow():
            count = _received(body, pipe)
            if not count:
                break
            _written(pipe, sink, count)
            meter.count(count)
            meter.pace()
            done += count
            hashing.grown(sink.tell())
    return done


def _received(body: Body, pipe: _Pipe) -> int:
    """Bytes that came into the pipe; 0 where splicing is not possible here."""
    try:
        while True:
            try:
                return body.spliced_into(pipe.into, AT_ONCE)
            except BlockingIOError:
                _wait(body.socket)
    except OSError as error:
        if error.errno in _CANNOT:
            return 0
        raise diagnosis.of_exception(error, body.url) from error


def _wait(sock: socket.socket | None) -> None:
    """Wait for bytes as long as the socket's own timeout says."""
    assert sock is not None
    seconds = sock.gettimeout()
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    if not poll.poll(None if seconds is None else seconds * 1000):
        raise TimeoutError(f"nothing came for {seconds} s")


def _written(pipe: _Pipe, sink: FileIO, count: int) -> None:
    while count:
        try:
            count -= os.splice(pipe.out, sink.fileno(), count)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            # This file system takes no pages. They must not be lost: they left the socket.
            data = memoryview(os.read(pipe.out, count))
            count -= len(data)
            while len(data):
                data = data[sink.write(data) or 0 :]
