"""Open a URL: one request per hop, each hop judged, credentials only for their own origin."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin, urlsplit, urlunsplit

from zoo.records import record
from zoo.transfer import addresses, connections, diagnosis
from zoo.transfer.errors import MalformedError, RedirectError, RefusedAddressError, TooLargeError
from zoo.transfer.settings import Settings, current

if TYPE_CHECKING:
    from urllib3 import HTTPResponse

HOPS = 10
HEAD = 2048
"""Bytes of an error page that are read to name the cause."""
DOCUMENT = 32 * 2**20
"""Ceiling of what `read_json` and `read_bytes` hold in memory."""


@record
class Request:
    """What to ask for. `authorization` goes to the origin of `url` and nowhere else.

    `window` is a half-open byte range of the resource; the file is then those bytes. `identity` names
    bytes whose digest is not known but which a later check judges, so that they may be resumed.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = ()
    authorization: str | None = None
    window: tuple[int, int] | None = None
    method: str = "GET"
    body: bytes | None = None
    identity: str | None = None


@record
class Answer:
    """A response whose headers were read and whose body was not. `url` is where redirects ended."""

    url: str
    status: int
    headers: Mapping[str, str]
    raw: Any
    """The urllib3 response."""


@lru_cache(maxsize=4096)
def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or {"https": 443, "http": 80}.get(scheme, 0)


@contextmanager
def open_url(request: Request, extra: Mapping[str, str] | None = None) -> Iterator[Answer]:
    """Follow redirects by hand to the final response; yields it with any status but a redirect.

    Raises a `TransferError`: `RedirectError` after `HOPS`, `RefusedAddressError` for a hop that may
    not be taken, or the cause of a connection that failed.
    """
    settings = current()
    response, url = _follow(request, dict(extra or {}), settings)
    try:
        yield Answer(url, response.status, response.headers, response)
    finally:
        response.close()


def _follow(request: Request, extra: dict[str, str], settings: Settings) -> tuple[HTTPResponse, str]:
    url = request.url
    for _ in range(HOPS + 1):
        _judge(url, settings)
        response = _send(request, url, extra, settings)
        if response.status not in (301, 302, 303, 307, 308):
            return response, url
        target = response.headers.get("Location")
        _dismiss(response)
        url = _next(url, target)
    raise RedirectError(
        f"{diagnosis.shown(request.url)}: more than {HOPS} redirects", hint="The server is misconfigured."
    )


def _dismiss(response: HTTPResponse) -> None:
    """Give the connection of a redirect back, where its body is short, else close it."""
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) <= HEAD:
        response.drain_conn()
    response.close()


def _next(url: str, target: str | None) -> str:
    where = diagnosis.shown(url)
    if not target:
        raise RedirectError(f"{where}: a redirect without a target")
    # http.client reads headers as Latin-1; addresses are UTF-8 where they are not ASCII.
    following = urljoin(url, target.encode("latin-1").decode("utf-8", "replace"))
    scheme = urlsplit(following).scheme.lower()
    if scheme not in ("http", "https"):
        raise RefusedAddressError(f"{where}: redirects to {scheme + ':'!r}, which is refused")
    if url.lower().startswith("https:") and scheme != "https":
        raise RefusedAddressError(f"{where}: redirects from https to plain http, which is refused")
    return following


def _judge(url: str, settings: Settings) -> None:
    """Refuse what can be refused before a lookup; the connection judges resolved addresses."""
    scheme, host, port = origin(url)
    where = diagnosis.shown(url)
    if scheme not in ("http", "https") or not host:
        raise RefusedAddressError(f"{where}: not an http(s) address")
    trusted = settings.trusts(url)
    address = addresses.literal(host)
    if address and addresses.is_private(address) and not trusted:
        raise RefusedAddressError(
            f"{where}: {address} is a private address",
            hint="Allow it if you know this host: --allow-private, or allow_private in the registry.",
        )
    if scheme == "http" and host not in settings.trusted_hosts and not (trusted and _is_inside(host, port)):
        raise RefusedAddressError(
            f"{where}: plain http is refused",
            hint="Use https; plain http is for hosts that you name (--source).",
        )


def _is_inside(host: str, port: int) -> bool:
    address = addresses.literal(host)
    if address is not None:
        return addresses.is_private(address)
    rows = addresses.resolve(host, port, allow_private=True)
    return all(addresses.is_private(row[4][0]) for row in rows)


def _send(request: Request, url: str, extra: dict[str, str], settings: Settings) -> HTTPResponse:
    import urllib3

    way = connections.route(origin(url), settings.proxies, settings.verify)
    pool = connections.pool(way, settings.trusts(url))
    try:
        return pool.urlopen(  # type: ignore[return-value]
            request.method,
            _without_user(url),
            body=request.body,
            headers=_headers(request, url, extra),
            timeout=urllib3.Timeout(connect=settings.connect_timeout, read=settings.read_timeout),
            retries=False,
            redirect=False,
            preload_content=False,
            decode_content=False,
        )
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        raise diagnosis.of_exception(error, url, way.proxy) from error


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))


def _headers(request: Request, url: str, extra: dict[str, str]) -> dict[str, str]:
    headers = {"User-Agent": connections.user_agent(), "Accept": "*/*", "Accept-Encoding": "identity"}
    headers.update(request.headers, **extra)
    at_home = origin(url) == origin(request.url)
    if not at_home:
        headers = {name: value for name, value in headers.items() if not _is_secret(name)}
    authorization = (request.authorization if at_home else None) or _authorization(url)
    return {**headers, "Authorization": authorization} if authorization else headers


def _authorization(url: str) -> str | None:
    """What the address itself or ``~/.netrc`` has for its host."""
    parts = urlsplit(url)
    if parts.username is None:
        return connections.netrc_authorization(url)
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _is_secret(name: str) -> bool:
    return name.lower() in {"authorization", "cookie", "proxy-authorization"} or "token" in name.lower()


def read_head(answer: Answer, count: int = HEAD) -> bytes:
    """The first bytes of a body, for naming what came; empty if even that fails."""
    with suppress(Exception):  # the status is already an error, the page only explains it
        return bytes(answer.raw.read(count, decode_content=True))
    return b""


def raise_for_status(answer: Answer, allowed: tuple[int, ...] = (200,)) -> None:
    """Raise the typed error of a status that is not in `allowed`."""
    if answer.status in allowed:
        return
    if 200 <= answer.status < 300:
        raise MalformedError(
            f"{diagnosis.shown(answer.url)}: HTTP {answer.status}, {' or '.join(map(str, allowed))} was due"
        )
    raise diagnosis.of_status(answer.status, answer.headers, read_head(answer), answer.url)


def read_bytes(request: Request, ceiling: int = DOCUMENT) -> tuple[bytes, Answer]:
    """A small document whole, retried like any transfer. Raises `TooLargeError` over `ceiling`."""
    from zoo.transfer.retrying import retrying

    def attempt() -> tuple[bytes, Answer]:
        with open_url(request) as answer:
            raise_for_status(answer)
            return _body(answer, ceiling), answer

    return retrying(attempt)


def _body(answer: Answer, ceiling: int) -> bytes:
    import urllib3

    where = diagnosis.shown(answer.url)
    try:
        data = bytes(answer.raw.read(ceiling + 1, decode_content=True))
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise diagnosis.of_exception(error, answer.url) from error
    if len(data) > ceiling:
        raise TooLargeError(f"{where}: more than {ceiling} bytes")
    return data


def read_json(request: Request) -> Any:
    """A JSON document. Raises `HtmlPageError` or `MalformedError` where it is not JSON."""
    data, answer = read_bytes(request)
    try:
        return json.loads(data)
    except ValueError as error:
        wrong = diagnosis.of_head(data[:HEAD], "", answer.url)
        raise wrong or MalformedError(f"{diagnosis.shown(answer.url)}: not JSON: {error}") from error


def read_range(request: Request, start: int, stop: int) -> bytes:
    """Bytes ``start:stop`` of a resource, in memory.

    Raises `MalformedError` where the server ignores or misanswers the range.
    """
    from zoo.transfer.retrying import retrying

    def attempt() -> bytes:
        with open_url(request, {"Range": f"bytes={start}-{stop - 1}"}) as answer:
            raise_for_status(answer, (206,))
            check_content_range(answer, start)
            return _exactly(answer, stop - start)

    return retrying(attempt)


def size_of(request: Request) -> int:
    """The size of a resource that answers ranges. Raises `MalformedError` where it does not."""
    from zoo.transfer.retrying import retrying

    def attempt() -> int:
        with open_url(request, {"Range": "bytes=0-0"}) as answer:
            raise_for_status(answer, (206,))
            total = check_content_range(answer, 0)
            if total is None:
                raise MalformedError(f"{diagnosis.shown(answer.url)}: does not tell its size")
            return total

    return retrying(attempt)


def _exactly(answer: Answer, count: int) -> bytes:
    data = _body(answer, count)
    if len(data) != count:
        from zoo.transfer.errors import TruncatedError

        raise TruncatedError(f"{diagnosis.shown(answer.url)}: {len(data)} of {count} bytes of a range came")
    return data


def check_content_range(answer: Answer, start: int) -> int | None:
    """The full size that a 206 tells (None for ``*``). Raises `MalformedError` for another offset."""
    import re

    text = answer.headers.get("Content-Range", "")
    found = re.fullmatch(r"\s*bytes\s+(\d+)-(\d+)/(\d+|\*)\s*", text)
    if not found or int(found[1]) != start:
        raise MalformedError(
            f"{diagnosis.shown(answer.url)}: asked for bytes from {start}, got Content-Range {text!r}"
        )
    return None if found[3] == "*" else int(found[3])
