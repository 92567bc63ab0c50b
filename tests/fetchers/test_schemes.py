"""``hf:``, ``file:``, ``s3:`` and what `fetch` makes of schemes, lists and progress."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

import pytest

from tests.transfer.conftest import QUICK, Payload, leftovers, visible
from tests.transfer.faulty_server import serve, status
from zoo.errors import DigestMismatchError, FetchError, MissingPackageError, UsageError
from zoo.fetchers import fetch, fetch_many
from zoo.fetchers.huggingface import hub_url


def test_hf_addresses_name_repository_revision_and_path():
    assert (
        hub_url("hf:org/repo@abc/a dir/model.onnx")
        == "https://huggingface.co/org/repo/resolve/abc/a%20dir/model.onnx"
    )
    assert hub_url("hf:org/repo/model.onnx") == "https://huggingface.co/org/repo/resolve/main/model.onnx"
    assert hub_url("hf:org/repo@refs%2Fpr%2F1/m.onnx").endswith("/resolve/refs%252Fpr%252F1/m.onnx")
    for text in ("hf:repo/model.onnx", "hf:org/repo", "hf:org/repo@main"):
        with pytest.raises(UsageError, match="hf:org/repo@revision/path"):
            hub_url(text)


def test_hf_takes_the_token_of_the_hub_itself(start, store, payload, monkeypatch, tmp_path):
    server = start(serve(payload.data))
    monkeypatch.setenv("HF_ENDPOINT", server.url(""))
    (tmp_path / "token").write_text("hf_from_file\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    fetch(payload.spec("hf:org/repo@abc/model.onnx"), store, QUICK)
    assert server.header("authorization") == ["Bearer hf_from_file"]
    assert server.requests[0].path == "/org/repo/resolve/abc/model.onnx"


def test_netrc_has_the_credentials_of_a_host(start, store, payload, home):
    server = start(serve(payload.data))
    (home / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    fetch(payload.spec(server.url()), store, QUICK)
    assert server.header("authorization") == ["Basic bWU6c2VjcmV0"]


def test_a_local_file_is_copied_and_judged(store, payload, tmp_path):
    path = tmp_path / "a model.onnx"
    path.write_bytes(payload.data)
    assert fetch(payload.spec(path.as_uri()), store, QUICK).digest == payload.sha256
    with pytest.raises(DigestMismatchError):
        fetch(payload.spec(path.as_uri(), sha256="0" * 64), store, QUICK)
    with pytest.raises(FetchError, match="300000 bytes, 5 are pinned"):
        fetch(payload.spec(path.as_uri(), sha256="1" * 64, size=5), store, QUICK)


def test_a_local_file_that_is_missing_or_far_away_is_named(store, payload, tmp_path):
    with pytest.raises(FetchError, match="No such file"):
        fetch(payload.spec(f"file://{tmp_path}/none.onnx"), store, QUICK)
    with pytest.raises(FetchError, match="only files of this machine"):
        fetch(payload.spec("file://elsewhere/none.onnx"), store, QUICK)


def test_a_local_lfs_pointer_is_named(store, payload, tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{payload.sha256}\nsize 300000\n")
    with pytest.raises(FetchError, match="Git LFS pointer"):
        fetch(payload.spec(path.as_uri()), store, QUICK)


def test_an_unknown_scheme_is_a_usage_error(store, payload):
    with pytest.raises(UsageError, match="no fetcher for 'ftp:'"):
        fetch(payload.spec("ftp://host/model.onnx"), store, QUICK)


def test_buckets_need_their_package(store, payload, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingPackageError, match="s3: sources need s3fs"):
        fetch(payload.spec("s3://bucket/model.onnx"), store, QUICK)


@pytest.fixture
def bucket(start, payload, monkeypatch):
    """An S3 endpoint with one object."""
    pytest.importorskip("s3fs").S3FileSystem.clear_instance_cache()

    def script(exchange) -> None:
        path = exchange.path.partition("?")[0]
        if path != "/bucket/model.onnx":
            missing = exchange.method == "HEAD"
            exchange.respond(404 if missing else 200, b"" if missing else LISTING)
        elif exchange.method == "HEAD":
            exchange.head(
                200,
                f"Content-Length: {len(payload.data)}",
                'ETag: "x"',
                "Last-Modified: Tue, 01 Jan 2030 00:00:00 GMT",
            )
            exchange.keep = True
        else:
            serve(payload.data)(exchange)

    server = start(script)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url(""))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return server


LISTING = (
    b'<?xml version="1.0"?><ListBucketResult><Name>bucket</Name><KeyCount>0</KeyCount></ListBucketResult>'
)


def test_an_object_of_a_bucket_is_copied_and_judged(bucket, store, payload):
    assert fetch(payload.spec("s3://bucket/model.onnx"), store, QUICK).digest == payload.sha256
    with pytest.raises(DigestMismatchError):
        fetch(payload.spec("s3://bucket/model.onnx", sha256="0" * 64), store, QUICK)
    assert len(visible(store)) == 1


def test_a_missing_object_of_a_bucket_is_named(bucket, store, payload):
    with pytest.raises(FetchError, match="no such object"):
        fetch(payload.spec("s3://bucket/none.onnx"), store, QUICK)


def many(start, count: int = 40) -> tuple[list, list[Payload], object]:
    payloads = [Payload(bytes([number]) * (1000 + number)) for number in range(count)]

    def script(exchange) -> None:
        serve(payloads[int(exchange.path.removeprefix("/"))].data)(exchange)

    server = start(script)
    specs = [
        item.spec(server.url(f"/{number}"), path=f"{number}.bin") for number, item in enumerate(payloads)
    ]
    return specs, payloads, server


def test_many_files_come_over_kept_connections_in_order(start, store):
    specs, payloads, server = many(start)
    blobs = fetch_many(specs, store, QUICK)
    assert [blob.digest for blob in blobs] == [item.sha256 for item in payloads]
    assert len(server.requests) == 40
    assert server.connections <= 32


def test_many_files_have_one_progress(start, store):
    specs, payloads, _ = many(start)
    seen: list[tuple[int, int | None]] = []
    lock = threading.Lock()

    def update(done: int, total: int | None) -> None:
        with lock:
            seen.append((done, total))

    fetch_many(specs, store, replace(QUICK, progress=update))
    assert max(seen) == (sum(len(item.data) for item in payloads),) * 2


def test_many_files_fail_with_the_first_error_and_keep_what_came(start, store, payload):
    specs, _, _ = many(start, 8)
    missing = payload.spec(start(status(404)).url())
    with pytest.raises(FetchError, match="not found"):
        fetch_many([*specs, missing], store, QUICK)
    assert leftovers(store) == []


def test_progress_is_drawn_on_a_terminal_only(start, store, payload, capsys, monkeypatch):
    server = start(serve(payload.data))
    fetch(payload.spec(server.url()), store, replace(QUICK, progress=True))
    assert capsys.readouterr().err == ""
    store.find(payload.sha256).unlink()
    monkeypatch.setenv("ZOO_PROGRESS", "1")
    fetch(payload.spec(server.url()), store, replace(QUICK, progress=True, max_rate=500_000))
    drawn = capsys.readouterr()
    assert "model.onnx" in drawn.err
    assert drawn.out == ""
