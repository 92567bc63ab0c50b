"""Results are taken from a jailed command's folder without trusting what lies there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoo.errors import WorkerError
from zoo.sandbox import collect, collect_file


def test_a_regular_file_is_collected(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a").write_bytes(b"abc")

    assert collect(tmp_path, "inner/a", 3) == b"abc"
    assert collect_file(tmp_path, "inner/a", 3, tmp_path / "copy").read_bytes() == b"abc"


def symlink(folder: Path, secret: Path) -> None:
    (folder / "a").symlink_to(secret)


def hard_link(folder: Path, secret: Path) -> None:
    (folder / "a").hardlink_to(secret)


def pipe(folder: Path, secret: Path) -> None:
    os.mkfifo(folder / "a")


def directory(folder: Path, secret: Path) -> None:
    (folder / "a").mkdir()


def large(folder: Path, secret: Path) -> None:
    (folder / "a").write_bytes(bytes(101))


def sparse(folder: Path, secret: Path) -> None:
    with (folder / "a").open("wb") as file:
        file.truncate(1 << 40)


def missing(folder: Path, secret: Path) -> None:
    return


@pytest.mark.parametrize("make", [symlink, hard_link, pipe, directory, large, sparse, missing])
def test_anything_else_is_refused(make, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    make(folder, tmp_path / "secret")

    with pytest.raises(WorkerError):
        collect(folder, "a", 100)
    with pytest.raises(WorkerError):
        collect_file(folder, "a", 100, tmp_path / "copy")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "", "a/../../secret", "linked/secret"])
def test_a_name_that_leads_out_is_refused(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (tmp_path / "secret").write_text("secret")
    (folder / "linked").symlink_to(tmp_path)

    with pytest.raises(WorkerError):
        collect(folder, name, 100)


def test_an_existing_destination_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "copy").write_bytes(b"old")

    with pytest.raises(FileExistsError):
        collect_file(tmp_path, "a", 100, tmp_path / "copy")

    assert (tmp_path / "copy").read_bytes() == b"old"
