"""Bundles: what was pulled here can be pulled there without a network, and not one bit is wrong."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.store.test_store import damage, put
from zoo.bundles import MANIFEST, inspect_bundle, read_bundle, write_bundle
from zoo.errors import (
    DigestMismatchError,
    DiskFullError,
    OutputExistsError,
    StoreError,
    UnknownModelError,
    UnsupportedFileError,
    ZooError,
)
from zoo.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "here")
    pulled(store, "magika", {"model.onnx": b"magika's graph" * 100})
    pulled(store, "big:int8", {"model.onnx": b"graph", "data/weights.bin": bytes(range(256)) * 9000})
    pulled(store, "other", {"model.onnx": b"not asked for"})
    return store


@pytest.fixture
def bundle(store: Store, tmp_path: Path) -> Path:
    return write_bundle(store, ["magika", "big:int8"], tmp_path / "models.zoo").path


@pytest.fixture
def there(tmp_path: Path) -> Store:
    return Store(tmp_path / "there")


def pulled(store: Store, ref: str, contents: dict[str, bytes]) -> dict[str, str]:
    files = {path: put(store, data) for path, data in contents.items()}
    store.remember("pulls", f"key-of-{ref}", {"ref": ref, "files": files, "entry": {"name": ref}})
    return files


def blobs(store: Store) -> set[str]:
    return {blob.digest for blob in store.list().blobs}


# --- the way of a good bundle -----------------------------------------------------------------------


def test_what_was_bundled_here_is_in_the_store_there(store: Store, bundle: Path, there: Store) -> None:
    result = read_bundle(bundle, there)

    assert set(result.refs) == {"magika", "big:int8"}
    for ref in result.refs:
        value = store.recall("pulls", f"key-of-{ref}")
        assert there.recall("pulls", f"key-of-{ref}") == value
        assert isinstance(value, dict)
        folder, original = there.materialise(value["files"], ref), store.materialise(value["files"], ref)
        for path in value["files"]:
            assert (folder / path).read_bytes() == (original / path).read_bytes()
    assert set(result.added) == blobs(there) == {m.sha256 for m in result.bundle.members}
    assert there.recall("pulls", "key-of-other") is None
    assert there.verify().passed


def test_a_bundle_is_a_plain_zip_with_the_manifest_first(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        manifest = json.loads(archive.read(names[0]))
    assert names[0] == MANIFEST
    assert [f"blobs/{one['sha256']}" for one in manifest["members"]] == names[1:]


def test_the_same_models_give_the_same_bundle(store: Store, bundle: Path, tmp_path: Path) -> None:
    again = write_bundle(store, ["magika", "big:int8"], tmp_path / "again.zoo")
    assert again.path.read_bytes() == bundle.read_bytes()
    assert again.sha256 == hashlib.sha256(bundle.read_bytes()).hexdigest()


def test_the_digest_of_the_file_proves_which_bundle_it_is(bundle: Path, there: Store) -> None:
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    with pytest.raises(DigestMismatchError, match=digest):
        read_bundle(bundle, there, sha256="0" * 64)
    assert not there.root.exists()
    assert read_bundle(bundle, there, sha256=digest.upper()).bundle.sha256 == digest


def test_importing_twice_adds_nothing_the_second_time(bundle: Path, there: Store) -> None:
    read_bundle(bundle, there)
    second = read_bundle(bundle, there)
    assert second.added == ()
    assert set(second.refs) == {"magika", "big:int8"}


def test_a_pull_proven_on_this_machine_is_not_replaced_by_an_import(bundle: Path, there: Store) -> None:
    mine = pulled(there, "magika", {"model.onnx": b"proven here"})
    read_bundle(bundle, there)
    found = there.recall("pulls", "key-of-magika")
    assert isinstance(found, dict)
    assert found["files"] == mine


def test_inspecting_says_what_is_inside(bundle: Path) -> None:
    found = inspect_bundle(bundle)
    assert {pull.ref for pull in found.pulls} == {"magika", "big:int8"}
    assert len(found.members) == 3


# --- what write refuses -----------------------------------------------------------------------------


def test_a_model_that_was_not_pulled_cannot_be_bundled(store: Store, tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match="resnet50") as caught:
        write_bundle(store, ["magika", "resnet50"], tmp_path / "x.zoo")
    assert "zoo pull resnet50" in (caught.value.hint or "")
    assert not (tmp_path / "x.zoo").exists()


def test_a_damaged_blob_is_not_bundled(store: Store, tmp_path: Path) -> None:
    value = store.recall("pulls", "key-of-magika")
    assert isinstance(value, dict)
    damage(store.need(value["files"]["model.onnx"]))
    with pytest.raises(StoreError):
        write_bundle(store, ["magika"], tmp_path / "out" / "x.zoo")
    assert not (tmp_path / "out").exists() or list((tmp_path / "out").iterdir()) == []


def test_an_existing_file_is_overwritten_only_by_force(store: Store, bundle: Path) -> None:
    before = bundle.read_bytes()
    with pytest.raises(OutputExistsError):
        write_bundle(store, ["magika"], bundle)
    assert bundle.read_bytes() == before
    write_bundle(store, ["magika"], bundle, force=True)
    assert len(inspect_bundle(bundle).pulls) == 1


def test_writing_leaves_no_draft(bundle: Path) -> None:
    assert [p.name for p in bundle.parent.iterdir() if p.name.endswith(".tmp")] == []


# --- what read refuses ------------------------------------------------------------------------------


def refused(path: Path, there: Store) -> ZooError:
    """The error of an import that must leave nothing behind."""
    with pytest.raises((DigestMismatchError, UnsupportedFileError)) as caught:
        read_bundle(path, there)
    assert not there.root.exists()
    return caught.value


def test_a_flipped_bit_in_a_member_is_refused_naming_it(bundle: Path, there: Store) -> None:
    with zipfile.ZipFile(bundle) as archive:
        infos = archive.infolist()[1:]
    data = bundle.read_bytes()
    for info in infos:
        at = info.header_offset + 30 + len(info.filename) + info.file_size // 2
        bundle.write_bytes(flipped(data, at * 8 + 3))
        assert info.filename in str(refused(bundle, there))


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


def test_a_flipped_bit_anywhere_is_refused(store: Store, there: Store, tmp_path: Path) -> None:
    path = write_bundle(store, ["magika"], tmp_path / "small.zoo").path
    data = path.read_bytes()
    draw = random.Random(0)
    spots = {draw.randrange(len(data) * 8) for _ in range(300)}
    spots |= {8 * at + 1 for at in range(60)}  # the first local header
    spots |= {8 * (len(data) - at) + 2 for at in range(1, 260)}  # directory, end record and comment
    for bit in spots:
        path.write_bytes(flipped(data, bit))
        refused(path, there)


@pytest.mark.parametrize("keep", [0, 3, 100, 5000, -1])
def test_a_truncated_bundle_is_refused(bundle: Path, there: Store, keep: int) -> None:
    bundle.write_bytes(bundle.read_bytes()[:keep])
    refused(bundle, there)


@pytest.mark.parametrize(
    "data", [b"", b"<html>Sign in</html>", b"version https://git-lfs.github.com/spec/v1\n"]
)
def test_another_file_is_refused(tmp_path: Path, there: Store, data: bytes) -> None:
    path = tmp_path / "x.zoo"
    path.write_bytes(data)
    assert "is not a bundle" in str(refused(path, there))


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, there: Store) -> None:
    assert "No such file" in str(refused(tmp_path / "none.zoo", there))


Forgery = Callable[[list[tuple[zipfile.ZipInfo, bytes]], dict[str, Any]], None]


def forged(bundle: Path, change: Forgery, compression: int = zipfile.ZIP_STORED) -> Path:
    """A bundle whose writer meant harm: its own digest is right, its contents are `change`d."""
    with zipfile.ZipFile(bundle) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    manifest = json.loads(entries[0][1])
    change(entries, manifest)
    entries[0] = (entries[0][0], json.dumps(manifest).encode())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for info, data in entries:
            info.compress_type = compression if info.filename != MANIFEST else zipfile.ZIP_STORED
            archive.writestr(info, data)
        archive.comment = b"sha256:" + b"0" * 64
    body = buffer.getvalue()[:-71]
    bundle.write_bytes(body + b"sha256:" + hashlib.sha256(body).hexdigest().encode())
    return bundle


def test_the_forger_of_these_tests_can_write_a_good_bundle(bundle: Path, there: Store) -> None:
    assert read_bundle(forged(bundle, lambda entries, manifest: None), there).refs


def escape_by_member_name(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    entries[1][0].filename = "../../outside"


def escape_by_file_name(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    files = manifest["pulls"][0]["value"]["files"]
    files["../../outside"] = files.pop("model.onnx")


def escape_by_digest(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    entries[1][0].filename = "blobs/../../outside"
    manifest["members"][0]["sha256"] = "../../outside"


def symlink(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    entries[1][0].external_attr = 0o120777 << 16


def extra_member(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    entries.append((zipfile.ZipInfo("setup.py"), b"x"))


def no_such_format(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    manifest["format"] = "zoo bundle 99"


def missing_member(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    del entries[1]


def other_contents(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    info, data = entries[1]
    entries[1] = (info, bytes(len(data)))


def wrong_size(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    manifest["members"][0]["size"] += 1


def unnamed_blob(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    manifest["pulls"][0]["value"]["files"] = {"model.onnx": "0" * 64}


def no_files(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    manifest["pulls"][0]["value"] = ["surprise"]


def main_file_elsewhere(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    manifest["pulls"][0]["value"]["main"] = "../../../../etc/passwd"


def deep_nesting(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
    nested: Any = 1
    for _ in range(200):
        nested = [nested]
    manifest["pulls"][0]["value"]["entry"] = nested


@pytest.mark.parametrize(
    "change",
    [
        main_file_elsewhere,
        deep_nesting,
        escape_by_member_name,
        escape_by_digest,
        symlink,
        extra_member,
        no_such_format,
        missing_member,
        wrong_size,
        unnamed_blob,
        no_files,
    ],
)
def test_a_forged_bundle_is_refused(bundle: Path, there: Store, change: Forgery) -> None:
    refused(forged(bundle, change), there)


def test_a_file_name_that_leaves_the_folder_is_refused(bundle: Path, there: Store) -> None:
    forged(bundle, escape_by_file_name)
    with pytest.raises(StoreError, match="does not stay inside"):
        read_bundle(bundle, there)
    assert not there.root.exists()


def test_contents_that_are_not_their_digest_are_refused_and_not_visible(bundle: Path, there: Store) -> None:
    forged(bundle, other_contents)
    with zipfile.ZipFile(bundle) as archive:
        name = archive.namelist()[1]
    with pytest.raises(DigestMismatchError, match=name):
        read_bundle(bundle, there)
    assert there.find(name.removeprefix("blobs/")) is None
    assert list(there.records("pulls")) == []


def with_header_changed(bundle: Path, local: int, central: int) -> str:
    """Flip the lowest bit of a byte of both headers of a member, and seal anew; its name."""
    with zipfile.ZipFile(bundle) as archive:
        info = archive.infolist()[1]
    data = bytearray(bundle.read_bytes()[:-71])
    for at in (info.header_offset + local, data.rindex(info.filename.encode()) - 46 + central):
        data[at] ^= 1
    bundle.write_bytes(bytes(data) + b"sha256:" + hashlib.sha256(data).hexdigest().encode())
    return info.filename


def test_a_wrong_checksum_of_the_archive_is_refused(bundle: Path, there: Store) -> None:
    name = with_header_changed(bundle, local=14, central=16)
    with pytest.raises(DigestMismatchError, match=name):
        read_bundle(bundle, there)
    assert list(there.records("pulls")) == []


def test_a_member_that_claims_to_be_encrypted_is_refused(bundle: Path, there: Store) -> None:
    name = with_header_changed(bundle, local=6, central=8)
    assert name in str(refused(bundle, there))


def test_a_compressed_member_may_be_a_bomb_and_is_refused(bundle: Path, there: Store) -> None:
    forged(bundle, lambda entries, manifest: None, compression=zipfile.ZIP_DEFLATED)
    refused(bundle, there)


def test_a_duplicate_member_is_refused(bundle: Path, there: Store) -> None:
    with zipfile.ZipFile(bundle) as archive:
        name = archive.namelist()[1]

    def duplicate(entries: list[tuple[zipfile.ZipInfo, bytes]], manifest: dict[str, Any]) -> None:
        entries.append((zipfile.ZipInfo(name), b"x"))

    with pytest.warns(UserWarning, match="Duplicate name"):
        forged(bundle, duplicate)
    refused(bundle, there)


def test_no_room_is_said_before_anything_is_written(
    bundle: Path, there: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    with pytest.raises(DiskFullError, match="1,000 bytes are free"):
        read_bundle(bundle, there)
    assert not there.root.exists()
