"""Read a body that was compressed though identity was asked for, never past its ceiling."""

from __future__ import annotations

import zlib

from zoo.transfer import diagnosis
from zoo.transfer.errors import EncodedError, MalformedError
from zoo.transfer.opening import Answer
from zoo.transfer.streaming import Body

_BITS = {"gzip": 31, "x-gzip": 31, "deflate": 47}


def body_of(answer: Answer) -> Body:
    """The body of `answer`, decoded where it is gzip. Raises `EncodedError` for other codings."""
    coding = answer.headers.get("Content-Encoding", "").strip().lower()
    if coding in ("", "identity"):
        return Body(answer)
    if coding in _BITS:
        return DecodedBody(answer, _BITS[coding])
    raise EncodedError(
        f"{diagnosis.shown(answer.url)}: sends {coding!r} though identity was asked for",
        hint="Use another source.",
    )


class DecodedBody(Body):
    """A gzip body, inflated into the caller's buffer: a bomb meets the ceiling like any body."""

    def __init__(self, answer: Answer, bits: int) -> None:
        super().__init__(answer)
        self._inflate = zlib.decompressobj(wbits=bits)
        self._compressed = bytearray(2**16)
        self._pending = b""

    @property
    def left(self) -> None:
        """Unknown: the length that is announced is that of the compressed bytes."""
        return

    def readinto(self, view: memoryview) -> int:
        """Fill some of `view` with inflated bytes; 0 at the end of the body."""
        while not self._inflate.eof:
            data = self._more()
            if not data and not self._pending:
                return 0
            plain = self._inflated(data, len(view))
            if plain:
                view[: len(plain)] = plain
                return len(plain)
        return 0

    def _more(self) -> bytes:
        if self._pending:
            return self._pending
        count = super().readinto(memoryview(self._compressed))
        return bytes(self._compressed[:count])

    def _inflated(self, data: bytes, room: int) -> bytes:
        try:
            plain = self._inflate.decompress(data, room)
        except zlib.error as error:
            raise MalformedError(f"{diagnosis.shown(self.url)}: broken gzip: {error}") from error
        self._pending = self._inflate.unconsumed_tail
        return plain
