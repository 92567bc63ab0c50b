"""One file of an npm tarball, from a registry on this machine."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile

import pytest

from tests.transfer.conftest import QUICK, leftovers, visible
from zoo.errors import DigestMismatchError, FetchError, UsageError
from zoo.fetchers import fetch
from zoo.fetchers.npm import PackageMember

SOURCE = "npm:@scope/models@1.2.0!package/model.onnx"


def tarball(**members: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


@pytest.fixture
def registry(start, payload, monkeypatch):
    """A registry with one package; `integrity` and `token` may be changed."""

    def script(exchange) -> None:
        if script.token and exchange.headers.get("authorization") != script.token:
            exchange.respond(401)
        elif exchange.path == "/@scope%2Fmodels/1.2.0" or exchange.path == "/@scope/models/1.2.0":
            dist = {"tarball": script.server.url("/models-1.2.0.tgz"), "integrity": script.integrity}
            exchange.respond(200, json.dumps({"name": "@scope/models", "dist": dist}).encode())
        elif exchange.path == "/models-1.2.0.tgz":
            exchange.respond(200, script.data)
        else:
            exchange.respond(404)

    script.data = tarball(**{"package.json": b"{}", "model.onnx": payload.data})
    script.integrity = "sha512-" + base64.b64encode(hashlib.sha512(script.data).digest()).decode()
    script.token = None
    script.server = start(script)
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", script.server.url(""))
    return script


def test_a_member_of_a_tarball_is_fetched(registry, payload, store):
    assert fetch(payload.spec(SOURCE), store, QUICK).path.read_bytes() == payload.data
    assert leftovers(store) == []


def test_a_tarball_that_is_not_its_integrity_is_refused(registry, payload, store):
    registry.integrity = "sha512-" + base64.b64encode(bytes(64)).decode()
    with pytest.raises(DigestMismatchError, match="wrong integrity"):
        fetch(payload.spec(SOURCE), store, QUICK)
    assert visible(store) + leftovers(store) == []


def test_the_integrity_is_checked_by_its_strongest_digest(registry, payload, store):
    weak = base64.b64encode(bytes(20)).decode()
    registry.integrity = f"sha1-{weak} {registry.integrity}"
    assert fetch(payload.spec(SOURCE), store, QUICK).digest == payload.sha256


def test_a_missing_member_is_named(registry, payload, store):
    with pytest.raises(FetchError, match=r"has no member 'package/other\.onnx'"):
        fetch(payload.spec("npm:@scope/models@1.2.0!package/other.onnx"), store, QUICK)


def test_a_member_with_another_digest_is_refused(registry, payload, store):
    with pytest.raises(DigestMismatchError, match="0" * 64):
        fetch(payload.spec(SOURCE, sha256="0" * 64), store, QUICK)
    assert visible(store) == []


def test_the_token_of_npmrc_goes_to_its_registry(registry, payload, store, home, monkeypatch):
    registry.token = "Bearer npm_secret"
    monkeypatch.setenv("MY_TOKEN", "npm_secret")
    (home / ".npmrc").write_text(f"//127.0.0.1:{registry.server.port}/:_authToken=${{MY_TOKEN}}\n")
    assert fetch(payload.spec(SOURCE), store, QUICK).digest == payload.sha256


def test_a_scope_has_its_own_registry(registry, payload, store, home, monkeypatch):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "https://elsewhere.invalid")
    (home / ".npmrc").write_text(f"@scope:registry={registry.server.url('')}\n")
    assert fetch(payload.spec(SOURCE), store, QUICK).digest == payload.sha256


def test_a_source_is_taken_apart():
    assert PackageMember.parse("npm:plain@1.0.0-beta.1!package/a b.onnx") == PackageMember(
        "plain", "1.0.0-beta.1", "package/a b.onnx"
    )
    with pytest.raises(UsageError, match="npm:@scope/name@version!member"):
        PackageMember.parse("npm:@scope/name!member")
