"""Tarballs of test data: folders out of them, once, and nothing at all out of hostile ones."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tests.transfer.conftest import Payload, visible
from tests.transfer.faulty_server import serve
from zoo.cli.main import run
from zoo.fetchers import unpacking
from zoo.fetchers.unpacking import unpacked
from zoo.store import Store
from zoo.transfer.errors import ArchiveError

FILES = {
    "net/model.onnx": b"a model",
    "net/._model.onnx": b"what macOS adds",
    "net/test_data_set_0/input_0.pb": b"in 0",
    "net/test_data_set_0/output_0.pb": b"out 0",
    "net/test_data_set_10/input_0.pb": b"in 10",
    "net/test_data_set_2/input_0.pb": b"in 2",
}


def tarball(files: dict[str, bytes], *odd: tarfile.TarInfo) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        for member in odd:
            tar.addfile(member)
    return made.getvalue()


def link(target: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo("net/test_data_set_0/input_1.pb")
    member.type, member.linkname = tarfile.SYMTYPE, target
    return member


def written(folder: Path, data: bytes) -> Path:
    path = folder / "net.tar.gz"
    path.write_bytes(data)
    return path


def test_a_tarball_becomes_its_data_sets_in_order(tmp_path, store):
    path = written(tmp_path, tarball(FILES))
    folders = unpacked(path, Payload(path.read_bytes()).sha256, store)
    assert [folder.name for folder in folders] == [f"test_data_set_{n}" for n in (0, 2, 10)]
    assert (folders[0] / "input_0.pb").read_bytes() == b"in 0"
    assert not (folders[0].parent / "._model.onnx").exists()


def test_a_tarball_is_unpacked_once_and_again_where_a_blob_is_gone(tmp_path, store, monkeypatch):
    path = written(tmp_path, tarball(FILES))
    digest = Payload(path.read_bytes()).sha256
    passes, extract = [], unpacking.extract_all
    monkeypatch.setattr(unpacking, "extract_all", lambda *args: passes.append(args) or extract(*args))
    first = unpacked(path, digest, store)
    assert unpacked(path, digest, Store(store.root)) == first
    assert len(passes) == 1
    visible(store)[0].unlink()
    assert unpacked(path, digest, Store(store.root)) == first
    assert len(passes) == 2


@pytest.mark.parametrize(
    "data",
    [
        tarball({**FILES, "../../escaped": b"x"}),
        tarball({**FILES, "/etc/escaped": b"x"}),
        tarball(FILES, link("/etc/passwd")),
        tarball({"net/test_data_set_0/input_0.pb": bytes(40_000_000)}),
        tarball(FILES)[:-40],
    ],
    ids=["parent", "absolute", "link", "bomb", "cut"],
)
def test_nothing_is_taken_out_of_a_hostile_tarball(tmp_path, store, data):
    with pytest.raises(ArchiveError):
        unpacked(written(tmp_path, data), Payload(data).sha256, store)
    assert visible(store) == []
    assert not list(tmp_path.rglob("escaped*"))


def registry(folder: Path, server, payload: Payload) -> str:
    pinned = f"path: net.tar.gz, sha256: {payload.sha256}, size: {len(payload.data)}"
    file = f'{{{pinned}, sources: ["{server.url()}"]}}'
    path = folder / "registry.yaml"
    path.write_text(
        f"""
schema: 1
models:
  net:
    kind: zoo
    task: tests
    licence: {{weights: MIT, source: a test}}
    files: [{file}]
    samples: [{file}]
"""
    )
    return str(path)


def test_the_command_prints_the_folders(start, tmp_path, capsys):
    payload = Payload(tarball(FILES))
    command = ["samples", "net", "--allow-private", "--registry"]
    assert run([*command, registry(tmp_path, start(serve(payload.data)), payload)]) == 0
    printed = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in printed] == [f"test_data_set_{n}" for n in (0, 2, 10)]
    assert (printed[1] / "input_0.pb").read_bytes() == b"in 2"


def test_the_command_refuses_a_tarball_that_leaves_its_folder(start, tmp_path, cache_dir, capsys):
    payload = Payload(tarball({"../../escaped": b"x"}))
    command = ["samples", "net", "--allow-private", "--registry"]
    assert run([*command, registry(tmp_path, start(serve(payload.data)), payload)]) == 4
    assert "leaves its folder" in capsys.readouterr().err
    assert [path.name for path in visible(Store(cache_dir))] == [payload.sha256], "only the tarball is there"
    assert not list(tmp_path.rglob("escaped*"))
