"""One file over several connections, where a single one is slow.

Workers claim segments in order, so that one thread can hash the file as it grows from the front.
At the end idle workers take half of what a slower one has left. Anything that hints at another file
(an ETag, a 200, a wrong offset) ends the whole phase; a single stream then decides.
"""

from __future__ import annotations

import contextvars
import dataclasses
import os
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from zoo.records import record
from zoo.transfer import diagnosis
from zoo.transfer.errors import DeadlineError, DroppedError, MalformedError, TransferError, TruncatedError
from zoo.transfer.opening import Answer, Request, check_content_range, open_url, origin, raise_for_status
from zoo.transfer.segments import Board, Segment
from zoo.transfer.settings import current
from zoo.transfer.streaming import CHUNK, Body, Meter
from zoo.transfer.watchdog import shut

if TYPE_CHECKING:
    from zoo.transfer.partial import Partial

BUFFER = 2**18
_TRIES = 3
"""Failures in a row after which a worker leaves."""


class NotTheSameError(DroppedError):
    """A segment is not of the file that the others are of."""


@record
class Plan:
    """What to fetch: `base` is where the file begins in the resource, `total` its size in bytes."""

    request: Request
    url: str
    """Where redirects ended: each segment would follow them again."""
    base: int
    total: int
    etag: str | None
    workers: int

    @property
    def direct(self) -> Request:
        """The request without its redirects; credentials stay with their origin."""
        same = origin(self.url) == origin(self.request.url)
        authorization = self.request.authorization if same else None
        return dataclasses.replace(self.request, url=self.url, authorization=authorization, window=None)


class Parallel:
    """The parallel phase of one transfer, from what `partial` has to the end of the file."""

    def __init__(self, plan: Plan, partial: Partial, progress: Callable[[int], None]) -> None:
        self.plan = plan
        self.partial = partial
        self.progress = progress
        self.board = Board(partial.hashed, partial.islands, plan.total, plan.workers)
        self.file = partial.open_sparse(plan.total)
        self._sockets: set[socket.socket | None] = set()
        self._telling = threading.Lock()

    def run(self, body: Body | None = None) -> None:
        """Fetch everything that is missing. `body`, if any, stands at the end of the prefix.

        Raises the error of the last worker that left, with what came noted in the partial file.
        """
        front = self.board.claim() if body is not None else None
        threads = [self._thread(self._work) for _ in range(self.plan.workers - 1)]
        threads.append(self._thread(self._follow))
        try:
            self._work(front, body)
            for thread in threads[:-1]:
                thread.join()
        finally:
            self._finish(threads)
        if self.board.frontier() < self.plan.total:
            raise self._failure()

    def _finish(self, threads: list[threading.Thread]) -> None:
        """Stop whoever still works, let the hash catch up, and write down what is there."""
        self.board.close()
        for sock in list(self._sockets):
            shut(sock)
        for thread in threads:
            thread.join()
        self.file.close()
        self.partial.note_islands(self.board.islands())

    def _failure(self) -> BaseException:
        return self.board.error or TruncatedError(f"{diagnosis.shown(self.plan.url)}: segments are missing")

    def _thread(self, target: Callable[[], None]) -> threading.Thread:
        # A thread starts with an empty context: the settings in effect go along.
        thread = threading.Thread(target=contextvars.copy_context().run, args=(target,), daemon=True)
        thread.start()
        return thread

    def _work(self, segment: Segment | None = None, body: Body | None = None) -> None:
        failures = 0
        while failures < _TRIES and (segment := segment or self.board.claim()) is not None:
            try:
                self._fetch(segment, body)
                failures = 0
            except (NotTheSameError, DeadlineError, OSError) as error:
                self.board.close(error)
            except TransferError as error:
                self.board.give_back(segment, error)
                failures += 1
            segment = body = None

    def _fetch(self, segment: Segment, body: Body | None) -> None:
        if body is not None:
            self._pour(body, segment)
            return
        first, last = self.plan.base + segment.position, self.plan.base + segment.stop - 1
        extra = {"Range": f"bytes={first}-{last}"}
        if diagnosis.is_strong(self.plan.etag):
            extra["If-Range"] = str(self.plan.etag)
        with open_url(self.plan.direct, extra) as answer:
            self._require_same(answer, first)
            self._pour(Body(answer), segment)

    def _require_same(self, answer: Answer, first: int) -> None:
        where = diagnosis.shown(answer.url)
        if answer.status == 200:
            raise NotTheSameError(f"{where}: answers a segment with the whole file")
        raise_for_status(answer, (206,))
        if answer.headers.get("ETag") != self.plan.etag:
            raise NotTheSameError(f"{where}: a segment has another ETag ({answer.headers.get('ETag')})")
        if answer.headers.get("Content-Encoding"):
            raise NotTheSameError(f"{where}: a segment is compressed")
        try:
            size = check_content_range(answer, first)
        except MalformedError as error:
            raise NotTheSameError(error.message) from error
        if not self.plan.request.window and size not in (None, self.plan.total):
            raise NotTheSameError(f"{where}: a segment is of {size} bytes, not of {self.plan.total}")

    def _pour(self, body: Body, segment: Segment) -> None:
        self._sockets.add(body.socket)
        try:
            self._receive(body, segment)
        finally:
            self._sockets.discard(body.socket)
        if not self.board.closed:
            self.partial.note_islands(self.board.islands())

    def _receive(self, body: Body, segment: Segment) -> None:
        meter = Meter(current(), body, lambda count: None)
        view = memoryview(bytearray(BUFFER))
        while (left := segment.left) > 0:
            count = body.readinto(view[:left])
            meter.count(count)
            if not count:
                raise TruncatedError(f"{diagnosis.shown(body.url)}: a segment ended {left} bytes early")
            self._write(view[:count], segment.position)
            wants_more = self.board.advance(segment, count)
            with self._telling:
                self.progress(self.board.done())
            if not wants_more:
                break

    def _write(self, view: memoryview, at: int) -> None:
        while len(view):
            count = os.pwrite(self.file.fileno(), view, at)
            view, at = view[count:], at + count

    def _follow(self) -> None:
        """Hash the file from the front, as far as it is there."""
        buffer = memoryview(bytearray(CHUNK))
        while (frontier := self._next_frontier()) > self.partial.hashed:
            while (left := frontier - self.partial.hashed) > 0:
                count = os.preadv(self.file.fileno(), [buffer[:left]], self.partial.hashed)
                self.partial.digest.update(buffer[:count])
                self.partial.hashed += count

    def _next_frontier(self) -> int:
        """A frontier a chunk or more ahead, or the last one."""
        board = self.board
        with board.changed:
            due = min(self.partial.hashed + CHUNK, self.plan.total)
            board.changed.wait_for(lambda: board.closed or board.frontier() >= due)
            return board.frontier()
