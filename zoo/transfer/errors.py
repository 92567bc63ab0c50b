"""Why a source failed, as types. Each names one cause and whether trying again can help.

::

    SourceError
    └── TransferError
        ├── UnreachableError       refused, no route, connect timeout
        ├── NameLookupError        DNS does not know the host
        ├── TlsError               the certificate is not to be trusted
        ├── ProxyError             the configured proxy does not answer
        ├── DroppedError           closed or reset before the answer was complete
        │   └── TruncatedError     the body ended early
        ├── StalledError           nothing came for the read timeout
        ├── LowSpeedError          bytes came, but too few
        ├── DeadlineError          the total time allowed is over
        ├── StatusError            an HTTP status that is not a success
        │   ├── NotFoundError
        │   └── DeniedError
        ├── RedirectError          a loop, or a redirect that may not be followed
        ├── RefusedAddressError    a private address, a scheme or plain HTTP that was not allowed
        ├── MalformedError         not HTTP, or HTTP that contradicts itself
        ├── EncodedError           the body is compressed though identity was asked for
        ├── TooLargeError          more bytes than the file has
        ├── HtmlPageError          a web page (login, captive portal) instead of the file
        ├── LfsPointerError        a Git LFS pointer instead of the file
        ├── LfsQuotaError          the repository is over its LFS quota
        ├── ArchiveError           the archive around the file cannot be read, or is hostile
        └── WrongDigestError       complete, but not the pinned bytes (also a DigestMismatchError)
"""

from __future__ import annotations

from typing import ClassVar

from zoo.errors import DigestMismatchError, SourceError

ALWAYS, LAST, NEVER = "always", "last", "never"
"""When to try the same source again: always, only where no other source is left, never."""


class TransferError(SourceError):
    """One source failed; `retry` says whether the same source may be tried again."""

    retry: ClassVar[str] = NEVER
    tries: ClassVar[int | None] = None
    """At most so many tries of one source for this cause; None leaves it to the settings."""
    retry_after: float | None = None
    """Seconds the server asked to wait."""


class UnreachableError(TransferError):
    """The host refused the connection, has no route, or did not answer in time."""

    retry = LAST


class NameLookupError(TransferError):
    """DNS has no address for the host."""

    retry = LAST
    tries = 2


class TlsError(TransferError):
    """The certificate is wrong, or TLS could not be agreed. Never retried, never without TLS."""


class ProxyError(TransferError):
    """The configured proxy cannot be reached or refused."""


class DroppedError(TransferError):
    """The connection ended before the answer did."""

    retry = ALWAYS


class TruncatedError(DroppedError):
    """The body ended before the file's last byte."""


class StalledError(TransferError):
    """Nothing came for the read timeout."""

    retry = ALWAYS


class LowSpeedError(TransferError):
    """Bytes came, but fewer in a while than the lowest speed that is accepted."""

    retry = LAST
    tries = 2


class DeadlineError(TransferError):
    """The total time allowed for this file is over."""


class StatusError(TransferError):
    """The server answered with an error status."""

    status: int = 0


class BusyError(StatusError):
    """A status that says "later": 408, 425, 429 or 5xx."""

    retry = ALWAYS


class NotFoundError(StatusError):
    """404 or 410: the file is not there."""


class DeniedError(StatusError):
    """401 or 403: credentials are missing, wrong, or not enough."""


class RedirectError(TransferError):
    """A redirect loop, too many hops, or a redirect without a target."""


class RefusedAddressError(TransferError):
    """The URL or a redirect leads where nobody allowed it to."""


class MalformedError(TransferError):
    """The answer is not HTTP, or contradicts itself."""


class EncodedError(TransferError):
    """The server compressed the body though identity was asked for, with a coding we do not read."""


class TooLargeError(TransferError):
    """More bytes than the file has."""


class HtmlPageError(TransferError):
    """A web page came instead of the file: a login, an error page or a captive portal."""

    retry = ALWAYS
    tries = 2


class LfsPointerError(TransferError):
    """A Git LFS pointer came instead of the file it points to."""

    oid: str = ""
    size: int = 0


class LfsQuotaError(TransferError):
    """The repository's owner has used up the LFS bandwidth or storage."""


class ArchiveError(TransferError):
    """An archive cannot be read, lacks the member, or tries to harm."""


class WrongDigestError(DigestMismatchError, TransferError):
    """All bytes came, and they are not the pinned ones."""

    retry = ALWAYS
    tries = 2
    got: str = ""
