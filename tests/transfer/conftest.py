"""Fixtures for transfers: a payload, a store, quick options and scripted servers."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.transfer.faulty_server import FaultyServer, Script
from zoo.fetchers import FetchOptions, fetch, health
from zoo.records import FileSpec
from zoo.store import Blob, Store

QUICK = FetchOptions(
    timeout=0.6,
    connect_timeout=1.0,
    retries=3,
    backoff=0.01,
    allow_private=True,
    low_speed=500,
    low_speed_time=0.8,
    connections=1,
)


@dataclass(frozen=True)
class Payload:
    """A file that servers serve."""

    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def spec(self, *sources: str, **changes: object) -> FileSpec:
        """The file as a registry pins it."""
        fields = {"path": "model.onnx", "sha256": self.sha256, "size": len(self.data), "sources": sources}
        return FileSpec(**{**fields, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def payload() -> Payload:
    """300 KB of noise: more than socket buffers forgive, less than a test's patience."""
    return Payload(random.Random(1).randbytes(300_000))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def start() -> Iterator[Callable[..., FaultyServer]]:
    """Start servers that stop with the test."""
    with ExitStack() as stack:

        def begin(script: Script, **kwargs: object) -> FaultyServer:
            return stack.enter_context(FaultyServer(script, **kwargs))  # type: ignore[arg-type]

        yield begin


@pytest.fixture(autouse=True)
def _fresh_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts that failed in another test are not remembered, and no proxy of the user's is used."""
    monkeypatch.setattr(health, "_failed", {})
    monkeypatch.setattr(health, "_busy", {})
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def get(store: Store, payload: Payload) -> Callable[..., Blob]:
    """Fetch the payload from servers, or addresses, in order."""

    def run(*sources: FaultyServer | str, options: FetchOptions = QUICK, **changes: object) -> Blob:
        urls = [item if isinstance(item, str) else item.url() for item in sources]
        return fetch(payload.spec(*urls, **changes), store, options)

    return run


def visible(store: Store) -> list[Path]:
    """Files under final names in the store."""
    return [path for path in (store.root / "sha256").rglob("*") if path.is_file() and path.suffix == ""]


def leftovers(store: Store) -> list[Path]:
    """Partial files in the store."""
    return [path for path in (store.root / "sha256").rglob("*") if path.is_file() and path.suffix != ""]
