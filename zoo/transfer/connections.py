"""Connections that judge addresses, in pools by route; which proxy and certificates a host gets.

urllib3 without requests around it: the same proxies, certificates and ``~/.netrc``, at half the cost
for each request, which is what many small files are made of.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.records import record
from zoo.transfer import addresses, watchdog
from zoo.version import DISTRIBUTION, __version__

if TYPE_CHECKING:
    import urllib3

POOL = 32
"""Keep-alive connections to one host; more wait for none, they are only not kept."""
_VARIABLES = (
    "http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
    "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
    "requests_ca_bundle", "REQUESTS_CA_BUNDLE", "curl_ca_bundle", "CURL_CA_BUNDLE",
    "ssl_cert_file", "SSL_CERT_FILE",
)  # fmt: skip


@record
class Route:
    """How a host is reached: through a proxy or not, and whom to trust."""

    proxy: str | None
    certificates: str


def route(origin: tuple[str, str, int], proxies: tuple[tuple[str, str], ...], verify: str | None) -> Route:
    """The route to an origin by the settings, else by the environment as requests reads it."""
    return _route(origin, proxies, verify, _relevant())


def _relevant() -> tuple[str | None, ...]:
    return tuple(map(os.environ.get, _VARIABLES))


@lru_cache(maxsize=256)
def _route(
    origin: tuple[str, str, int],
    proxies: tuple[tuple[str, str], ...],
    verify: str | None,
    variables: tuple[str | None, ...],
) -> Route:
    scheme, host, port = origin
    proxy = dict(proxies).get(scheme)
    if not proxies and any(variables[:8]):
        import requests.utils

        url = f"{scheme}://[{host}]:{port}/" if ":" in host else f"{scheme}://{host}:{port}/"
        found = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url))
        proxy = found if found is None or "://" in found else f"http://{found}"
    return Route(proxy, verify or next((value for value in variables[8:] if value), None) or _certifi())


def _certifi() -> str:
    import certifi

    return certifi.where()


@lru_cache(maxsize=64)
def pool(way: Route, allow_private: bool) -> urllib3.PoolManager:
    """The process-wide pool of a route.

    A pool of its own for connections that may reach private addresses: one that is kept must not
    serve a request that may not go there.
    """
    import urllib3

    folder = Path(way.certificates).is_dir()
    options: dict[str, Any] = {
        "num_pools": POOL,
        "maxsize": POOL,
        "cert_reqs": "CERT_REQUIRED",
        "ca_cert_dir" if folder else "ca_certs": way.certificates,
    }
    made: urllib3.PoolManager
    if way.proxy is None:
        made = urllib3.PoolManager(**options)
    else:
        made = urllib3.ProxyManager(way.proxy, proxy_headers=_proxy_headers(way.proxy), **options)
    made.pool_classes_by_scheme = _pool_classes(allow_private)
    return made


def _proxy_headers(proxy: str) -> dict[str, str]:
    import urllib3

    user = urllib3.util.parse_url(proxy).auth
    return urllib3.util.make_headers(proxy_basic_auth=user) if user else {}


def netrc_authorization(url: str) -> str | None:
    """The Authorization that ``~/.netrc`` (or ``NETRC``) has for the host of `url`."""
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 — asked for each request, and cheaper
    if not os.environ.get("NETRC") and not any((home / name).exists() for name in (".netrc", "_netrc")):
        return None
    import requests.auth
    import requests.utils

    found = requests.utils.get_netrc_auth(url)
    return requests.auth._basic_auth_str(*found) if found else None


def user_agent() -> str:
    """This distribution and its version."""
    return f"{DISTRIBUTION}/{__version__}"


@lru_cache(maxsize=2)
def _pool_classes(allow_private: bool) -> dict[str, Any]:
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    class PlainConnection(_Guarded, HTTPConnection):
        private = allow_private

    class TlsConnection(_Guarded, HTTPSConnection):
        private = allow_private

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = PlainConnection

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = TlsConnection

    return {"http": PlainPool, "https": TlsPool}


class _Guarded:
    """A urllib3 connection that judges addresses and bounds the time that headers may take."""

    private: bool
    proxy: Any
    port: int
    sock: Any
    timeout: Any

    def _new_conn(self) -> Any:
        if self.proxy is not None:  # the proxy was configured, and it does the lookup
            return super()._new_conn()  # type: ignore[misc]
        # Addresses only: urllib3 keeps the name for Host, SNI and the certificate.
        return addresses.connect(
            self._dns_host,  # type: ignore[attr-defined]
            self.port,
            float(self.timeout),
            allow_private=self.private,
        )

    def getresponse(self) -> Any:
        # The read timeout is per packet: a server that sends one header byte a second would hold us.
        sock = self.sock
        with watchdog.limited(sock, 2 * (sock.gettimeout() or 60.0) + 1.0):
            response = super().getresponse()  # type: ignore[misc]
        response.zoo_socket = sock
        return response
