"""Tarballs as the ONNX Model Zoo made them, and as nobody should."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import time
from pathlib import Path

import pytest

from tests.transfer.test_content import bomb
from zoo.transfer.archives import Limits, extract_all, extract_member, only_model
from zoo.transfer.errors import ArchiveError

MODEL = b"\x08\x07onnx" * 1000


def member(name: str, data: bytes = b"", **fields: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in fields.items():
        setattr(info, key, value)
    return info, data


def archive(folder: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> Path:
    path = folder / "model.tar.gz"
    with tarfile.open(path, mode) as tar:
        for info, data in members:
            tar.addfile(info, io.BytesIO(data))
    return path


def written(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and path.name != "model.tar.gz")


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_model_and_its_test_data_are_unpacked(tmp_path, mode):
    path = archive(
        tmp_path,
        member("resnet50/", type=tarfile.DIRTYPE),
        member("./resnet50/model.onnx", MODEL),
        member("resnet50/test_data_set_0/input_0.pb", b"in"),
        member("resnet50/test_data_set_0/output_0.pb", b"out"),
        mode=mode,
    )
    names = extract_all(path, tmp_path / "out")
    assert [str(name) for name in names] == [
        "resnet50/model.onnx",
        "resnet50/test_data_set_0/input_0.pb",
        "resnet50/test_data_set_0/output_0.pb",
    ]
    assert (tmp_path / "out" / only_model(names)).read_bytes() == MODEL


@pytest.mark.parametrize(
    "bad",
    [
        member("../evil.onnx", b"x"),
        member("model/../../evil.onnx", b"x"),
        member("/tmp/evil.onnx", b"x"),
        member("model\\..\\evil.onnx", b"x"),
        member("link.onnx", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("hard.onnx", type=tarfile.LNKTYPE, linkname="../evil"),
        member("pipe.onnx", type=tarfile.FIFOTYPE),
        member("device.onnx", type=tarfile.CHRTYPE),
        member("model.onnx", b"twice"),
    ],
    ids=[
        "parent",
        "inner_parent",
        "absolute",
        "backslash",
        "symlink",
        "hard_link",
        "fifo",
        "device",
        "twice",
    ],
)
def test_a_member_that_could_harm_refuses_the_archive_before_a_byte_is_written(tmp_path, bad):
    path = archive(tmp_path, member("model.onnx", MODEL), bad)
    began = time.monotonic()
    with pytest.raises(ArchiveError):
        extract_all(path, tmp_path / "out")
    assert time.monotonic() - began < 1
    assert written(tmp_path) == []


def test_what_macos_adds_is_left_out(tmp_path):
    path = archive(
        tmp_path,
        member("._model.onnx", b"junk"),
        member("model/._model.onnx", b"junk"),
        member("__MACOSX/model/model.onnx", b"junk"),
        member("model/.DS_Store", b"junk"),
        member("model/model.onnx", MODEL),
    )
    assert [str(name) for name in extract_all(path, tmp_path / "out")] == ["model/model.onnx"]


def test_two_models_must_be_told_apart(tmp_path):
    path = archive(tmp_path, member("a.onnx", MODEL), member("b/c.onnx", MODEL))
    names = extract_all(path, tmp_path / "out")
    with pytest.raises(ArchiveError, match=r"2 \.onnx files in the archive: a\.onnx, b/c\.onnx"):
        only_model(names)
    with pytest.raises(ArchiveError, match=r"0 \.onnx files in the archive: none"):
        only_model([])


def test_a_400_mb_bomb_is_refused_within_a_second_and_nothing_is_written(tmp_path):
    path = tmp_path / "model.tar.gz"
    info = tarfile.TarInfo("model.onnx")
    info.size = 400 * 2**20
    path.write_bytes(gzip.compress(info.tobuf()) + bomb(400))
    began = time.monotonic()
    with pytest.raises(ArchiveError, match="a bomb"):
        extract_all(path, tmp_path / "out")
    with pytest.raises(ArchiveError, match="a bomb"):
        extract_member(path, "model.onnx", tmp_path / "one.onnx", lambda data: None)
    assert time.monotonic() - began < 1
    assert written(tmp_path) == []


def test_a_bomb_behind_the_last_member_is_refused(tmp_path):
    path = tmp_path / "model.tar.gz"
    info, data = member("model.onnx", MODEL)
    block = info.tobuf() + data + bytes(-len(data) % 512)
    path.write_bytes(gzip.compress(block) + bomb(400))
    began = time.monotonic()
    names = extract_all(path, tmp_path / "out")
    assert time.monotonic() - began < 1, "what comes after the end of the archive is never unpacked"
    assert [str(name) for name in names] == ["model.onnx"]


def test_a_huge_extended_header_is_not_read_into_memory(tmp_path):
    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XHDTYPE, 900 * 2**20
    path = tmp_path / "model.tar.gz"
    path.write_bytes(gzip.compress(info.tobuf()) + bomb(8))
    with pytest.raises(ArchiveError, match="an extended header claims"):
        extract_all(path, tmp_path / "out")


def test_too_many_members_are_refused(tmp_path):
    path = archive(tmp_path, *(member(f"{number}.pb") for number in range(30)))
    with pytest.raises(ArchiveError, match="more than 20 members"):
        extract_all(path, tmp_path / "out", Limits(members=20))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a tarball" * 100,
        gzip.compress(b"x" * 2000),
        bz2.compress(b"x" * 2000),
        lzma.compress(b"x" * 2000),
    ],
    ids=["empty", "text", "gzip", "bz2", "xz"],
)
def test_what_is_no_tarball_is_named(tmp_path, data):
    path = tmp_path / "model.tar.gz"
    path.write_bytes(data)
    with pytest.raises(ArchiveError):
        extract_all(path, tmp_path / "out")
    assert written(tmp_path) == []


def test_a_truncated_tarball_writes_nothing(tmp_path):
    path = archive(tmp_path, member("a.onnx", MODEL * 50), member("b.pb", b"x" * 100_000))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArchiveError, match="cannot be read as a tarball"):
        extract_all(path, tmp_path / "out")
    assert written(tmp_path) == []


def test_one_member_is_taken_out_and_its_bytes_are_seen(tmp_path):
    path = archive(tmp_path, member("package/a.onnx", MODEL), member("package/b.onnx", b"b"))
    seen = bytearray()
    assert extract_member(path, "package/a.onnx", tmp_path / "a.onnx", seen.extend) == len(MODEL)
    assert bytes(seen) == (tmp_path / "a.onnx").read_bytes() == MODEL
    with pytest.raises(ArchiveError, match=r"has no member 'package/c\.onnx'"):
        extract_member(path, "package/c.onnx", tmp_path / "c.onnx", seen.extend)
