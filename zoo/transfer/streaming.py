"""Move a body into a file and through a digest, near the speed of the machine.

One thread receives into a buffer and writes it, a second one hashes the buffer before it is used
again. Nothing is copied in Python and nothing is decoded: `readinto` on the reader below
`http.client`, because urllib3 and requests allocate a new bytes object for every chunk.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from zoo.transfer import diagnosis, splicing
from zoo.transfer.errors import DeadlineError, LowSpeedError, TransferError
from zoo.transfer.settings import Settings

if TYPE_CHECKING:
    from io import FileIO, RawIOBase

    from zoo.transfer.opening import Answer

CHUNK = 2**20
INLINE = 2**18
"""Bodies up to this size are hashed without a second thread."""
FLUSH_SECONDS = 0.25
"""A slow connection's bytes are written at least so often: a killed process loses no more."""


class Digest(Protocol):
    """What `hashlib` makes."""

    def update(self, data: Any, /) -> None: ...
    def hexdigest(self) -> str: ...


class Body:
    """The bytes of an answer as they came. Errors are typed."""

    def __init__(self, answer: Answer) -> None:
        self.url = answer.url
        self._raw = answer.raw
        self._http = answer.raw._fp  # the http.client response, see the module's docstring
        self.socket = getattr(answer.raw, "zoo_socket", None)
        self.inspect: Callable[[bytes], TransferError | None] = lambda head: None
        """Names what a body is that starts with these bytes, where it is not the file."""

    def readinto(self, view: memoryview) -> int:
        """Fill some of `view` with one receive; 0 at the end of the body."""
        try:
            return self._receive(view)
        except Exception as error:  # http.client raises ValueError and more for garbage
            raise diagnosis.of_exception(error, self.url) from error

    def _receive(self, view: memoryview) -> int:
        http = self._http
        if http.fp is None or not len(view):
            return 0
        if http.chunked:
            return self._receive_chunked(view)
        if http.length is not None:
            view = view[: http.length]
        count: int = http.fp.readinto1(view) if len(view) else 0
        if http.length is None:
            return count
        if not count and http.length:
            raise ConnectionResetError(f"{http.length} bytes before the announced end")
        self._count_down(count)
        return count

    def _receive_chunked(self, view: memoryview) -> int:
        data = self._http.read1(len(view))
        view[: len(data)] = data
        if not data:
            self._release()
        return len(data)

    @property
    def left(self) -> int | None:
        """Bytes that are still to come; None where only the end of the body tells."""
        http = self._http
        return None if http.chunked or http.fp is None else http.length

    def buffered(self) -> bytes:
        """What was received and not read yet; afterwards the next byte is the socket's."""
        try:
            data = self._http.fp.peek(1)
            return self._taken(self._http.fp.read1(len(data)))
        except Exception as error:
            raise diagnosis.of_exception(error, self.url) from error

    def spliced_into(self, pipe: int, room: int) -> int:
        """Move bytes from the socket to a pipe. Raises OSError; `buffered` was called before."""
        assert self.socket is not None
        count = os.splice(self.socket.fileno(), pipe, min(room, self._http.length))
        if not count:
            raise ConnectionResetError(f"{self._http.length} bytes before the announced end")
        self._count_down(count)
        return count

    def _taken(self, data: bytes) -> bytes:
        self._count_down(len(data))
        return data

    def _count_down(self, count: int) -> None:
        self._http.length -= count
        if not self._http.length:
            self._release()

    def has_more(self) -> bool:
        """Whether a byte follows those that were read; an end that does not come counts as none."""
        if self.socket is not None and self._http.fp is not None:
            self.socket.settimeout(1.0)
        try:
            return self.readinto(memoryview(bytearray(1))) > 0
        except TransferError:
            return False

    def _release(self) -> None:
        """Everything was read: the connection may serve the next request."""
        self._http._close_conn()
        self._raw.release_conn()


class Meter:
    """Counts bytes, and ends a transfer that is too slow or too late. Speeds in bytes per second."""

    def __init__(self, settings: Settings, body: Body, progress: Callable[[int], None]) -> None:
        self._settings = settings
        self._body = body
        self._progress = progress
        self._started = self._window_start = time.monotonic()
        self._count = self._window = 0
        rate = settings.max_rate
        self._low = settings.low_speed if rate is None else min(settings.low_speed, rate / 2)
        self.patience: float | None = None
        """Seconds after which a connection below `slow_connection` is too slow to be alone."""
        self.chunk = CHUNK if rate is None else max(4096, min(CHUNK, int(rate / 10)))
        self._bound_socket(self._started)

    def count(self, count: int) -> float:
        """Note bytes that came; returns now. Raises `LowSpeedError` or `DeadlineError`."""
        now = time.monotonic()
        self._count += count
        self._window += count
        if now - self._window_start >= self._settings.low_speed_time:
            self._judge(now)
        if self._settings.deadline is not None:
            self._bound_socket(now)
        return now

    def is_slow(self) -> bool:
        """Whether the connection had its chance and should get company; a very slow one has less of it."""
        elapsed = time.monotonic() - self._started
        if self.patience is None or elapsed < self.patience / 4:
            return False
        enough = self._settings.slow_connection / (1 if elapsed > self.patience else 3)
        return self._count / elapsed < enough

    def _judge(self, now: float) -> None:
        speed = self._window / (now - self._window_start)
        if speed < self._low:
            raise LowSpeedError(
                f"{diagnosis.shown(self._body.url)}: {speed:.0f} B/s, below {self._low:.0f} B/s "
                f"for {self._settings.low_speed_time:.0f} s",
                hint="Another source may be faster.",
            )
        self._window, self._window_start = 0, now

    def _bound_socket(self, now: float) -> None:
        deadline = self._settings.deadline
        if deadline is None:
            return
        left = deadline - now
        if left <= 0:
            raise late(self._body.url)
        if left < self._settings.read_timeout and self._body.socket is not None:
            self._body.socket.settimeout(left)

    def pace(self) -> None:
        """Report progress, and sleep where bytes came faster than `max_rate`."""
        self._progress(self._count)
        if self._settings.max_rate is not None:
            due = self._count / self._settings.max_rate
            pause = self._started + due - time.monotonic()
            if pause > 0:
                time.sleep(pause)


def late(url: str) -> DeadlineError:
    return DeadlineError(
        f"{diagnosis.shown(url)}: the time allowed is over", hint="Allow more time (--deadline)."
    )


class HashThread:
    """A digest in a thread of its own, with a ring of buffers between."""

    def __init__(self, digest: Digest, size: int, depth: int = 4) -> None:
        self._digest = digest
        self._free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
        self._full: queue.SimpleQueue[tuple[bytearray, int] | None] = queue.SimpleQueue()
        for _ in range(depth):
            self._free.put(bytearray(size))
        self._thread = threading.Thread(target=self._run, name="zoo-sha256", daemon=True)

    def __enter__(self) -> HashThread:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._full.put(None)
        self._thread.join()

    def buffer(self) -> bytearray:
        """A buffer whose bytes were hashed."""
        return self._free.get()

    def hash(self, buffer: bytearray, count: int) -> None:
        """Hash the first `count` bytes of `buffer`, which is not to be touched any more."""
        self._full.put((buffer, count))

    def _run(self) -> None:
        while (item := self._full.get()) is not None:
            buffer, count = item
            self._digest.update(memoryview(buffer)[:count])
            self._free.put(buffer)


class InlineHash:
    """The same without a thread, for small bodies: starting one costs more than it saves."""

    def __init__(self, digest: Digest, size: int) -> None:
        self._digest = digest
        self._buffer = bytearray(size)

    def __enter__(self) -> InlineHash:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def buffer(self) -> bytearray:
        return self._buffer

    def hash(self, buffer: bytearray, count: int) -> None:
        self._digest.update(memoryview(buffer)[:count])


def pour(body: Body, sink: FileIO, digest: Digest, meter: Meter, room: int) -> int:
    """Write at most `room` bytes of `body` to `sink` and `digest`; returns how many.

    Returns early where the meter finds the connection slow, with the rest of the body unread.
    What came before an error is written and hashed before the error is raised.
    """
    if meter.chunk < CHUNK or not splicing.suits(body, room):
        return _copied(body, sink, digest, meter, room)
    done = _copied(body, sink, digest, meter, INLINE)  # the beginning is looked at
    if done == INLINE and body.left:
        rest = body.buffered()
        write_all(sink, memoryview(rest))
        digest.update(rest)
        meter.count(len(rest))
        done += len(rest) + splicing.splice(body, sink, digest, meter)
    if done < room and body.left and not meter.is_slow():
        done += _copied(body, sink, digest, meter, room - done)
    return done


def _copied(body: Body, sink: FileIO, digest: Digest, meter: Meter, room: int) -> int:
    hashing = (
        InlineHash(digest, min(room, meter.chunk)) if room <= INLINE else HashThread(digest, meter.chunk)
    )
    done = 0
    with hashing:
        while done < room:
            buffer = hashing.buffer()
            count, ended = _fill(body, memoryview(buffer)[: room - done], meter)
            if count:
                _look(body, buffer, done)
                write_all(sink, memoryview(buffer)[:count])
                hashing.hash(buffer, count)
                done += count
                meter.pace()
            if isinstance(ended, TransferError):
                raise ended
            if ended or meter.is_slow():
                break
    return done


def _look(body: Body, buffer: bytearray, done: int) -> None:
    """Nothing is written of a body that is known to be something else."""
    wrong = body.inspect(bytes(buffer[:2048])) if not done else None
    if wrong is not None:
        raise wrong


def _fill(body: Body, view: memoryview, meter: Meter) -> tuple[int, bool | TransferError]:
    """Receive until `view` is full, the body ends, fails, or a while has passed."""
    filled = 0
    until = time.monotonic() + FLUSH_SECONDS
    while filled < len(view):
        try:
            count = body.readinto(view[filled:])
            filled += count
            now = meter.count(count)
        except TransferError as error:
            return filled, error
        if not count:
            return filled, True
        if now > until:
            break
    return filled, False


def write_all(sink: RawIOBase, view: memoryview) -> None:
    """Write all of `view`: a raw file may take less than it was given."""
    while len(view):
        view = view[sink.write(view) or 0 :]
