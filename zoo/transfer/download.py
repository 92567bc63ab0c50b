"""One file from one URL: stream, resume, retry, and know why it failed."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DiskFullError, StoreError
from zoo.transfer import diagnosis
from zoo.transfer.encoding import body_of
from zoo.transfer.errors import (
    DroppedError,
    MalformedError,
    TooLargeError,
    TransferError,
    TruncatedError,
)
from zoo.transfer.opening import Answer, Request, check_content_range, open_url, raise_for_status, read_head
from zoo.transfer.parallel import NotTheSameError, Parallel, Plan
from zoo.transfer.partial import Note, Partial
from zoo.transfer.receipts import Received, give_receipt
from zoo.transfer.retrying import retrying
from zoo.transfer.segments import SMALLEST
from zoo.transfer.settings import current
from zoo.transfer.streaming import INLINE, Body, Meter, pour

if TYPE_CHECKING:
    from zoo.interfaces import Progress
    from zoo.records import FileSpec


PATIENCE = 0.2
"""Seconds that a connection has to show its speed."""


class ResumeError(DroppedError):
    """The server misanswered a continuation; the next try starts from 0."""


def download(request: Request, destination: Path, expected: FileSpec, progress: Progress) -> Received:
    """Write the bytes of `request` to `destination`, resuming what is there.

    `expected.sha256` and `expected.size` bound and judge the bytes where they are known. On failure
    the partial file and a ``.json`` note beside it stay, for the next call to go on from.

    Raises a `TransferError` naming the cause, or `DiskFullError`.
    """
    transfer = _Transfer(request, destination, expected, progress)
    try:
        received = retrying(transfer.attempt, transfer.progressed)
        give_receipt(destination, received)
        return received
    except OSError as error:
        transfer.partial.remove()
        raise _local(error, destination) from error


def _local(error: OSError, destination: Path) -> StoreError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFullError(
            f"no room for {destination}: {error.strerror}",
            hint="Free some space, or use another cache (--cache).",
        )
    return StoreError(f"cannot write {destination}: {error.strerror or error}", hint="Check its permissions.")


class _Transfer:
    def __init__(self, request: Request, destination: Path, expected: FileSpec, progress: Progress) -> None:
        self.request = request
        self.expected = expected
        self.progress = progress
        self.settings = current()
        self.partial = Partial(destination, expected, request.identity)
        self._best = self.partial.size
        self.resumed = self._best + sum(stop - start for start, stop in self.partial.islands)
        self._wrong_before: str | None = None
        self._spoiled = False
        self._alone = self.settings.connections < 2 or self.settings.max_rate is not None

    def progressed(self) -> bool:
        """Whether the last try got noticeably further than any before."""
        step = max(2**20, (self.expected.size or 0) // 100)
        if self.partial.size < self._best + step:
            return False
        self._best = self.partial.size
        return True

    def attempt(self) -> Received:
        if self._spoiled:
            self.partial.discard()
            self._spoiled = False
        if self.expected.size is None or self.partial.size < self.expected.size:
            self._transfer()
        return self._judged()

    def _transfer(self) -> None:
        asked = self.partial.size
        with open_url(self.request, self._range(asked)) as answer:
            note = self._accept(answer, asked)
            if self.partial.note != note:
                self._note(note)
            self._check_room()
            self._pour(answer)

    def _note(self, note: Note) -> None:
        if self.expected.size is not None and self.expected.size <= INLINE:
            self.partial.note = note  # a small file is sooner fetched again than noted and resumed
        else:
            self.partial.begin(note)

    def _range(self, offset: int) -> dict[str, str]:
        start, stop = self.request.window or (0, 0)
        if self.request.window:
            return {"Range": f"bytes={start + offset}-{stop - 1}"}
        if not offset:
            return {}
        note = self.partial.note
        same = note is not None and note.url == self.request.url
        strong = note.etag if same and note is not None and diagnosis.is_strong(note.etag) else None
        return {"Range": f"bytes={offset}-", **({"If-Range": strong} if strong else {})}

    def _accept(self, answer: Answer, asked: int) -> Note:
        """Judge the headers; afterwards the partial file is where the body begins."""
        ranged = bool(asked or self.request.window)
        if answer.status == 416 and asked:
            self._restart(f"{diagnosis.shown(answer.url)}: nothing from byte {asked} on (HTTP 416)")
        if ranged and answer.status == 206:
            self._accept_range(answer, asked)
        else:
            raise_for_status(answer, (206,) if self.request.window else (200,))
            if asked:
                self.partial.discard()
        self._check_length(answer)
        headers = answer.headers
        return Note(
            url=self.request.url,
            identity=self.partial.identity,
            size=self.expected.size,
            etag=headers.get("ETag"),
            last_modified=headers.get("Last-Modified"),
            prefix=self.partial.hashed if self.partial.islands else None,
            islands=self.partial.islands,
        )

    def _accept_range(self, answer: Answer, asked: int) -> None:
        base = self.request.window[0] if self.request.window else 0
        if answer.headers.get("Content-Encoding"):
            self._restart(f"{diagnosis.shown(answer.url)}: a compressed answer cannot be continued")
        try:
            total = check_content_range(answer, base + asked)
        except MalformedError as error:
            if not asked:
                raise
            self._restart(error.message)
        note = self.partial.note
        changed = (
            note is not None and note.url == self.request.url and note.etag != answer.headers.get("ETag")
        )
        if asked and changed:
            self._restart(f"{diagnosis.shown(answer.url)}: the file changed while it was fetched")
        if (
            not self.request.window
            and None not in (total, self.expected.size)
            and total != self.expected.size
        ):
            self._restart(
                f"{diagnosis.shown(answer.url)}: has {total} bytes now, {self.expected.size} are pinned"
            )

    def _restart(self, why: str) -> None:
        self.partial.discard()
        raise ResumeError(why)

    def _check_length(self, answer: Answer) -> None:
        """Compare the announced length with what is missing; name what came instead if it differs."""
        lengths = {item.strip() for item in answer.headers.get("Content-Length", "").split(",")} - {""}
        where = diagnosis.shown(answer.url)
        if len(lengths) > 1 or any(not item.isdecimal() for item in lengths):
            raise MalformedError(f"{where}: contradictory Content-Length {sorted(lengths)}")
        if not lengths or self.expected.size is None or answer.headers.get("Content-Encoding"):
            return
        announced, due = int(lengths.pop()), self.expected.size - self.partial.size
        if announced != due:
            raise self._misfit(answer, announced, due)

    def _misfit(self, answer: Answer, announced: int, due: int) -> TransferError:
        wrong = diagnosis.of_head(read_head(answer), self.expected.path, answer.url)
        if wrong is not None:
            return wrong
        kind = TooLargeError if announced > due else TruncatedError
        return kind(
            f"{diagnosis.shown(answer.url)}: announces {announced} bytes, {due} are due"
            f"; {diagnosis.of_change(self.expected, answer.headers)}",
            hint="Compare the size at the publisher with the pinned one; another source may help.",
        )

    def _check_room(self) -> None:
        due = (self.expected.size or 0) - self.partial.size
        free = shutil.disk_usage(self.partial.path.parent).free
        if due > free:
            raise DiskFullError(
                f"{self.partial.path.parent} has {free} bytes free, {due} are needed",
                hint="Free some space, or use another cache (--cache).",
            )

    def _pour(self, answer: Answer) -> None:
        body = body_of(answer)
        may_split = not self._alone and self._answers_ranges(answer)
        if not (may_split and self.partial.islands):
            if not self.partial.size:
                body.inspect = lambda head: diagnosis.of_head(head, self.expected.path, body.url)
            if self._stream(body, may_split):
                self._check_end(body)
                return
        self._split(answer, body)

    def _stream(self, body: Body, may_split: bool) -> bool:
        """Take in the body; False where its connection is slow and should get company."""
        start, due = self.partial.size, self.expected.size
        room = (self.settings.largest if due is None else due) - start
        meter = Meter(self.settings, body, lambda count: self.progress(start + count, due))
        meter.patience = PATIENCE if may_split and room > 2 * SMALLEST else None
        with self.partial.open() as file:
            try:
                pour(body, file, self.partial.digest, meter, room)
            finally:
                self.partial.hashed = file.tell()
        worth_it = due is not None and due - self.partial.size > SMALLEST
        return not (worth_it and meter.is_slow())

    def _answers_ranges(self, answer: Answer) -> bool:
        """Whether other connections may fetch other parts, and prove that they are of the same file."""
        ranges = answer.status == 206 or answer.headers.get("Accept-Ranges", "").lower() == "bytes"
        provable = self.partial.identity is not None or diagnosis.is_strong(answer.headers.get("ETag"))
        plain = not answer.headers.get("Content-Encoding")
        return ranges and provable and plain and self.expected.size is not None

    def _split(self, answer: Answer, body: Body) -> None:
        """Fetch the rest over several connections, the open one among them."""
        due = self.expected.size or 0
        plan = Plan(
            request=self.request,
            url=answer.url,
            base=self.request.window[0] if self.request.window else 0,
            total=due,
            etag=answer.headers.get("ETag"),
            workers=self.settings.connections,
        )
        try:
            Parallel(plan, self.partial, lambda done: self.progress(done, due)).run(body)
        except (NotTheSameError, MalformedError):
            self._alone = True
            raise

    def _check_end(self, body: Body) -> None:
        where = diagnosis.shown(body.url)
        due = self.expected.size
        if due is not None and self.partial.size < due:
            raise TruncatedError(
                f"{where}: ended after {self.partial.size} of {due} bytes",
                hint="Try again or use another source.",
            )
        if self.partial.size == 0 and due != 0:
            raise TruncatedError(f"{where}: the answer is empty")
        if body.has_more() and self.partial.digest.hexdigest() != self.expected.sha256:
            self.partial.discard()
            raise TooLargeError(
                f"{where}: sends more than the {due or self.settings.largest} bytes that are due",
                hint="The publisher changed the file, or something else answers.",
            )

    def _judged(self) -> Received:
        got, size, note = self.partial.digest.hexdigest(), self.partial.size, self.partial.note
        if self.expected.sha256 not in (None, got):
            raise self._wrong(got, note)
        self.partial.finish()
        return Received(
            got, size, self.resumed, note.etag if note else None, note.last_modified if note else None
        )

    def _wrong(self, got: str, note: Note | None) -> TransferError:
        with self.partial.path.open("rb") as file:
            other = diagnosis.of_head(file.read(2048), self.expected.path, self.request.url)
        now = {"ETag": note.etag, "Last-Modified": note.last_modified} if note else {}
        error = other or diagnosis.wrong_digest(self.expected, got, self._wrong_before, self.request.url, now)
        self._wrong_before = got
        self.resumed = 0
        # The bytes stay for the store's quarantine, without the note that would have them resumed.
        self.partial.finish()
        self._spoiled = True
        return error
