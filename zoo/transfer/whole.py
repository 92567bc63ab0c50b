"""A small file of known size in one go, in memory. Whatever is unusual about it is for `download`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.transfer import diagnosis
from zoo.transfer.errors import EncodedError, TooLargeError, TruncatedError
from zoo.transfer.opening import open_url, raise_for_status
from zoo.transfer.settings import current
from zoo.transfer.streaming import Body, Meter

if TYPE_CHECKING:
    from zoo.transfer.opening import Answer, Request


def read_whole(request: Request, size: int) -> memoryview:
    """The `size` bytes of `request`, in one try. Raises a `TransferError`.

    The digest is not judged here.
    """
    with open_url(request) as answer:
        raise_for_status(answer)
        if answer.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
            raise EncodedError(f"{diagnosis.shown(answer.url)}: is compressed though identity was asked for")
        return _exactly(answer, size)


def _exactly(answer: Answer, size: int) -> memoryview:
    body = Body(answer)
    meter = Meter(current(), body, lambda count: None)
    view = memoryview(bytearray(size + 1))  # one more than is due shows a body that goes on
    filled = 0
    while count := body.readinto(view[filled:]):
        filled += count
        meter.count(count)
    if filled != size:
        kind = TruncatedError if filled < size else TooLargeError
        raise kind(f"{diagnosis.shown(answer.url)}: sends {filled} bytes or more, {size} are due")
    return view[:size]
