"""Reading sources and publishing results."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from zoo import artifacts
from zoo.errors import OutputExistsError, UnsupportedFileError, UsageError


def test_a_file_is_known_by_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    artifact = artifacts.open_artifact(path)
    assert artifact.digest == hashlib.sha256(b"weights").hexdigest()
    assert artifact.size == 7


def test_the_digest_of_a_folder_tells_a_renamed_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1")
    before = artifacts.open_artifact(tmp_path).digest
    (tmp_path / "a").rename(tmp_path / "b")
    assert artifacts.open_artifact(tmp_path).digest != before


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        artifacts.open_artifact(tmp_path / "nothing.pkl")


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedFileError, match="empty folder"):
        artifacts.open_artifact(tmp_path)


def test_publishing_never_overwrites_without_force(tmp_path: Path) -> None:
    source, target = tmp_path / "new", tmp_path / "model.onnx"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    with pytest.raises(OutputExistsError):
        artifacts.publish({source: target}, force=False)
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.onnx", "new"]


def test_force_replaces_the_whole_file(tmp_path: Path) -> None:
    source, target = tmp_path / "new", tmp_path / "model.onnx"
    source.write_bytes(b"new")
    target.write_bytes(b"older and longer")
    artifacts.publish({source: target}, force=True)
    assert target.read_bytes() == b"new"


def test_a_failed_copy_leaves_nothing_behind(tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_bytes(b"data")
    out = tmp_path / "out"
    with pytest.raises(Exception, match="cannot write"):
        artifacts.publish({good: out / "model.data", tmp_path / "missing": out / "model.onnx"}, force=False)
    assert list(out.iterdir()) == []


def test_a_published_file_has_ordinary_permissions(tmp_path: Path) -> None:
    source, target = tmp_path / "new", tmp_path / "model.onnx"
    source.write_bytes(b"new")
    artifacts.publish({source: target}, force=False)
    mask = os.umask(0)
    os.umask(mask)
    assert target.stat().st_mode & 0o777 == 0o666 & ~mask
