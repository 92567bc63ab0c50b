"""From an exception, a status or the first bytes of a body to the error that names the cause."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from zoo.transfer.errors import (
    BusyError,
    DeniedError,
    DroppedError,
    HtmlPageError,
    LfsPointerError,
    LfsQuotaError,
    MalformedError,
    NotFoundError,
    ProxyError,
    StalledError,
    StatusError,
    TlsError,
    TransferError,
    UnreachableError,
    WrongDigestError,
)

if TYPE_CHECKING:
    from zoo.records import FileSpec

BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_GARBLED = {"BadStatusLine", "LineTooLong", "HeaderParsingError", "InvalidHeader", "InvalidChunkLength"}
_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:.*\n)*?oid sha256:([0-9a-f]{64})\nsize (\d+)"
)
_HTML = re.compile(
    rb"\A\s*(?:\xef\xbb\xbf)?\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head)\b", re.I | re.S
)
_QUOTA = re.compile(rb"over its data quota|exceeded its LFS budget|LFS data quota", re.I)


def shown(url: str) -> str:
    """`url` without user, password and query, which may hold secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "…" if parts.query else "", ""))


def of_exception(error: BaseException, url: str, proxy: str | None = None) -> TransferError:
    """The typed error for whatever requests, urllib3, http.client or a socket raised."""
    chain = list(_chain(error))
    for known in chain:
        if isinstance(known, TransferError):
            return known
    where = shown(url)
    if proxy is not None and any(
        type(item).__name__ in {"ProxyError", "NewConnectionError"} for item in chain
    ):
        return ProxyError(
            f"the proxy {shown(proxy)} does not answer for {where}: {_innermost(chain)}",
            hint="Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
        )
    for kind in (ssl.SSLError, ssl.CertificateError):
        if any(isinstance(item, kind) for item in chain):
            return _tls(chain, where)
    if any(isinstance(item, TimeoutError) or "Timeout" in type(item).__name__ for item in chain):
        return StalledError(
            f"{where}: nothing came for the read timeout", hint="Try again or use another source."
        )
    return _broken(chain, where)


def _tls(chain: list[BaseException], where: str) -> TransferError:
    return TlsError(
        f"{where}: TLS failed: {_innermost(chain)}",
        hint="If your network re-signs TLS, set REQUESTS_CA_BUNDLE to its certificate.",
    )


def _broken(chain: list[BaseException], where: str) -> TransferError:
    names = {type(item).__name__ for item in chain}
    oversized = any("got more than" in str(item) for item in chain)
    if (names & _GARBLED or oversized) and "RemoteDisconnected" not in names:
        return MalformedError(f"{where}: not proper HTTP: {_innermost(chain)}", hint="Use another source.")
    if any(isinstance(item, (ConnectionResetError, BrokenPipeError)) for item in chain) or names & {
        "RemoteDisconnected",
        "IncompleteRead",
        "ProtocolError",
    }:
        return DroppedError(f"{where}: the connection was closed: {_innermost(chain)}", hint="Try again.")
    return UnreachableError(
        f"{where}: {_innermost(chain)}", hint="Check the network; another source may help."
    )


def _chain(error: BaseException) -> list[BaseException]:
    seen: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        item = todo.pop(0)
        if not isinstance(item, BaseException) or item in seen:
            continue
        seen.append(item)
        todo += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
    return seen


def _innermost(chain: list[BaseException]) -> str:
    last = chain[-1]
    return f"{type(last).__name__}: {last}" if str(last) else type(last).__name__


def of_status(status: int, headers: Mapping[str, str], head: bytes, url: str) -> TransferError:
    """The typed error for a status that is not a success. `head` is the start of the body."""
    where = shown(url)
    if _QUOTA.search(head) or status == 509:
        return lfs_quota(where)
    if status in (404, 410):
        return _status(NotFoundError, status, f"{where}: not found (HTTP {status})", None)
    if status in (401, 403):
        hint = "Credentials are missing or wrong; see docs/fetching.md for where each host's are read."
        return _status(DeniedError, status, f"{where}: access denied (HTTP {status})", hint)
    if status in BUSY:
        error = _status(
            BusyError, status, f"{where}: the server is busy or broken (HTTP {status})", "Try again later."
        )
        error.retry_after = retry_after(headers.get("Retry-After"))
        return error
    return _status(StatusError, status, f"{where}: HTTP {status}", None)


def _status(kind: type[StatusError], status: int, message: str, hint: str | None) -> StatusError:
    error = kind(message, hint=hint)
    error.status = status
    return error


def lfs_quota(where: str) -> LfsQuotaError:
    return LfsQuotaError(
        f"{where}: the repository is over its Git LFS quota",
        hint="Only its owner can change that; use another source.",
    )


def retry_after(value: str | None) -> float | None:
    """Seconds to wait from a Retry-After header: a number, or an HTTP date; None if unreadable.

    >>> retry_after("3"), retry_after("soon"), retry_after(None)
    (3.0, None, None)
    """
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"\d{1,18}(\.\d+)?", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def of_head(head: bytes, path: str, url: str) -> TransferError | None:
    """What a body that starts with `head` is, where it is not the file; None if nothing is wrong."""
    where = shown(url)
    pointer = lfs_pointer(head)
    if pointer is not None:
        oid, size = pointer
        error = LfsPointerError(
            f"{where}: a Git LFS pointer came, not the file (oid sha256:{oid}, {size} bytes)",
            hint="Use github-lfs:owner/repo@commit/path, or the host's LFS address.",
        )
        error.oid, error.size = oid, size
        return error
    if _HTML.match(head) and not path.lower().endswith((".html", ".htm")):
        if _QUOTA.search(head):
            return lfs_quota(where)
        return _html(head, where)
    if len(head) < 4096 and _QUOTA.search(head):
        return lfs_quota(where)
    return None


def _html(head: bytes, where: str) -> HtmlPageError:
    title = re.search(rb"<title[^>]*>(.*?)</title>", head, re.I | re.S)
    text = " ".join(title[1].decode("utf-8", "replace").split())[:80] if title else ""
    titled = f' titled "{text}"' if text else ""
    kind = (
        "a login page" if re.search(rb"type=[\"']?password|log ?in|sign ?in", head, re.I) else "an HTML page"
    )
    return HtmlPageError(
        f"{where}: {kind}{titled} came instead of the model",
        hint="A captive portal or a login may stand in between: open the address in a browser.",
    )


def lfs_pointer(head: bytes) -> tuple[str, int] | None:
    """The oid and size of a Git LFS pointer (its specification, version 1)."""
    found = _POINTER.match(head)
    return (found[1].decode(), int(found[2])) if found else None


def is_strong(etag: str | None) -> bool:
    """Whether an ETag promises byte equality (RFC 9110, 8.8.1): only then it may go into If-Range."""
    return bool(etag) and str(etag).startswith('"')


def of_change(expected: FileSpec, now: Mapping[str, str | None]) -> str:
    """Whether the publisher changed the file or something damaged it, from what was recorded at pinning."""
    pairs = [
        ("ETag", expected.etag, now.get("ETag")),
        ("Last-Modified", expected.last_modified, now.get("Last-Modified")),
    ]
    for name, pinned, seen in pairs:
        if pinned is None or seen is None:
            continue
        if pinned == seen:
            return f"the host still has the pinned version ({name} {seen}), so it was damaged on the way"
        return f"the publisher changed the file ({name} was {pinned}, is {seen})"
    return "the publisher changed the file, or it was damaged on the way"


def wrong_digest(
    expected: FileSpec, got: str, before: str | None, url: str, now: Mapping[str, str | None]
) -> WrongDigestError:
    """The error for a complete file with another digest; `before` is the one an earlier try had."""
    if expected.etag is None and expected.last_modified is None and before is not None:
        same = "the same bytes came twice, so the publisher probably changed the file"
        cause = same if before == got else "two tries gave different bytes, so it was damaged on the way"
    else:
        cause = of_change(expected, now)
    error = WrongDigestError(
        f"{shown(url)}: wrong digest, expected sha256:{expected.sha256}, got sha256:{got}; {cause}",
        hint="It is not used. Use another source; pin the new digest only if the change is known to be good.",
    )
    error.got = got
    return error
