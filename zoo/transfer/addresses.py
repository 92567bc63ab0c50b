"""Which addresses a download may reach, decided on the address that is connected to.

A name is resolved once, each of its addresses is judged, and the connection is made to a judged
address: a second lookup could answer differently (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import socket
import time
from functools import lru_cache
from typing import Any

from zoo.transfer.errors import NameLookupError, RefusedAddressError, UnreachableError

# Networks that lead into someone's house. Ranges for documentation and benchmarks are left out on
# purpose: they hold no services by standard, and proxies that intercept DNS hand them out.
PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.168.0.0/16", "224.0.0.0/4", "240.0.0.0/4",
        "::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip


@lru_cache(maxsize=4096)
def is_private(address: str) -> bool:
    """Whether an IP address is loopback, link-local, private, shared, multicast or reserved.

    >>> is_private("10.0.0.1"), is_private("::ffff:127.0.0.1"), is_private("140.82.112.3")
    (True, True, False)
    """
    ip = ipaddress.ip_address(address.partition("%")[0])
    embedded = _embedded(ip)
    if embedded is not None:
        ip = embedded
    return any(ip.version == network.version and ip in network for network in PRIVATE)


def _embedded(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside a mapped, 6to4 or NAT64 address."""
    if ip.version == 4:
        return None
    if ip in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour


@lru_cache(maxsize=4096)
def literal(host: str) -> str | None:
    """The address that `host` is, or None for a name."""
    try:
        return str(ipaddress.ip_address(host.strip("[]").partition("%")[0]))
    except ValueError:
        return None


def resolve(host: str, port: int, *, allow_private: bool) -> list[tuple[Any, ...]]:
    """The `getaddrinfo` rows of `host` that may be connected to.

    Raises `NameLookupError`, or `RefusedAddressError` if one address is private and that was not
    allowed: a name with a public and a private address is refused as a whole.
    """
    try:
        rows = _row(host, port) or socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise NameLookupError(
            f"DNS has no address for {host!r} ({error})",
            hint="Check the spelling, the network and the DNS server.",
        ) from error
    for row in rows:
        if not allow_private and is_private(str(row[4][0])):
            raise RefusedAddressError(
                f"{host} is the private address {row[4][0]}",
                hint="Allow it if you know this host: --allow-private, or allow_private in the registry.",
            )
    return rows


def _row(host: str, port: int) -> list[tuple[Any, ...]]:
    """What a look-up of a plain IPv4 address would give, without its cost."""
    if literal(host) != host or ":" in host:
        return []
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]


def connect(host: str, port: int, timeout: float, *, allow_private: bool) -> socket.socket:
    """A TCP connection to a judged address of `host`, within `timeout` seconds over all of them."""
    rows = resolve(host, port, allow_private=allow_private)
    until = time.monotonic() + timeout
    failures = []
    for left, (family, kind, protocol, _, address) in zip(range(len(rows), 0, -1), rows, strict=True):
        share = max(0.05, (until - time.monotonic()) / left)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(share)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect(address)
        except OSError as error:
            sock.close()
            failures.append(f"{address[0]}: {_words(error, share)}")
            continue
        return sock
    raise UnreachableError(
        f"{host} port {port} does not answer ({'; '.join(failures)})",
        hint="Check the network, a firewall or a proxy; another source may help.",
    )


def _words(error: OSError, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {seconds:.1f} s"
    return error.strerror or str(error)
