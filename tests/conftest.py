"""What every test may rely on: no network but this machine's, and no cache but its own."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from zoo.environments import Environment

LOCAL = {"127.0.0.1", "::1", "localhost"}


class BlockedSocketError(RuntimeError):
    """A test tried to leave this machine without the `network` marker."""


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sockets reach only this machine, unless the test is marked `network`."""
    if request.node.get_closest_marker("network"):
        return
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in LOCAL:
            raise BlockedSocketError(f"blocked: {address}")
        connect(self, address)  # type: ignore[arg-type]

    def guarded_resolve(host: str, *args: object, **kwargs: object) -> object:
        if host is not None and str(host) not in LOCAL and not _is_test_name(str(host)):
            raise BlockedSocketError(f"blocked: look-up of {host}")
        return resolve(host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_resolve)


def _is_test_name(host: str) -> bool:
    """Names that no resolver knows (RFC 6761): tests of failing look-ups use them."""
    return host.endswith((".invalid", ".test", ".localhost"))


@pytest.fixture(autouse=True)
def cache_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store of the test's own, and no settings of the user's."""
    folder = tmp_path / "zoo-cache"
    for name in ("ZOO_REGISTRY", "ZOO_CACHE_LAYERS", "ZOO_OFFLINE", "HF_TOKEN", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_CACHE", str(folder))
    return folder


SHARED = Path(__file__).parents[1] / "cache" / "test-environments"
"""The store of the environments that tests build: by the digest of their locks, so kept from run to run."""


@pytest.fixture
def environment(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Environment]:
    """``environment("paddle")`` builds the environment of a lock, once, and lets the test's own store see it.

    A test that uses it is marked `network`. It skips where the Python that the lock needs is missing.
    """

    def built(name: str) -> Environment:
        from zoo import environments
        from zoo.errors import MissingPythonError

        try:
            found = environments.build(name, cache=SHARED)
        except MissingPythonError as error:
            pytest.skip(f"{error.message}: {error.hint}")
        monkeypatch.setenv("ZOO_CACHE_LAYERS", str(SHARED))
        return found

    return built
