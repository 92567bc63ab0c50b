"""The requests sessions that downloads share: guarded connections, no cookies, no hidden retries."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from zoo.transfer import addresses, watchdog

if TYPE_CHECKING:
    import requests

POOL = 32
"""Keep-alive connections to one host; more wait for none, they are only not kept."""


@lru_cache(maxsize=2)
def session(allow_private: bool) -> requests.Session:
    """The process-wide session whose connections may (or may not) reach private addresses.

    Two sessions, because a kept connection to a private host must not serve a request that may
    not go there.
    """
    from http.cookiejar import DefaultCookiePolicy

    import requests

    made = requests.Session()
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    made.headers["User-Agent"] = _user_agent()
    made.headers["Accept-Encoding"] = "identity"
    adapter = _adapter(allow_private)
    made.mount("https://", adapter)
    made.mount("http://", adapter)
    return made


def _user_agent() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"onnx-zoo-pipeline/{version('onnx-zoo-pipeline')}"
    except PackageNotFoundError:  # a checkout that was never installed
        return "onnx-zoo-pipeline"


def _adapter(allow_private: bool) -> Any:
    from requests.adapters import HTTPAdapter

    pools = _pool_classes(allow_private)

    class GuardedAdapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
            made = super().proxy_manager_for(*args, **kwargs)
            made.pool_classes_by_scheme = pools
            return made

    return GuardedAdapter(pool_connections=POOL, pool_maxsize=POOL, max_retries=0)


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
    host: str
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
