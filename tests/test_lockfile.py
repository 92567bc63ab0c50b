"""The project's lock file: what is locked is what is loaded, and nothing else."""

from __future__ import annotations

import hashlib
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zoo.errors import DigestMismatchError, RegistryFormatError, StoreError, UnknownModelError
from zoo.lockfile import LockedModel, LockFile, check_entry, check_model, locked_model, read_lock, write_lock
from zoo.records import FileSpec, OnnxModel, RegistryEntry, Signature


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


ENTRY = RegistryEntry(
    name="chord",
    variant="fp32",
    kind="converted",
    task="audio",
    files=(
        FileSpec("saved_model.pb", digest("pb"), 2, ("https://x.test/pb",)),
        FileSpec("variables/variables.index", digest("index"), 5, ("https://x.test/index",)),
    ),
)
MODEL = OnnxModel(Path("/x/chord.onnx"), digest("onnx"), 4, 17, 8, Signature(), {}, digest("graph"))
FILES = {"chord.data": digest("data"), "chord.onnx": digest("onnx")}


@pytest.fixture
def lock(tmp_path: Path) -> LockFile:
    write_lock(tmp_path / "zoo.lock", [locked_model(ENTRY, MODEL, FILES)])
    return read_lock(tmp_path / "zoo.lock")


def zoo_entry(entry: RegistryEntry) -> RegistryEntry:
    return replace(entry, kind="zoo")


# --- the file ---------------------------------------------------------------------------------------


def test_what_is_written_is_read_again(lock: LockFile) -> None:
    model = lock.find("chord:fp32")
    assert model == LockedModel(
        "chord:fp32",
        "converted",
        {"saved_model.pb": digest("pb"), "variables/variables.index": digest("index")},
        {"chord.onnx": digest("onnx"), "chord.data": digest("data")},
        digest("graph"),
    )
    assert next(iter(model.files)) == "chord.onnx"


def test_the_file_is_toml_and_the_same_whatever_the_order(tmp_path: Path) -> None:
    one, two = (LockedModel(ref, "zoo", {}, {"m": digest(ref)}) for ref in ("b", "a"))
    write_lock(tmp_path / "1", [one, two])
    write_lock(tmp_path / "2", [two, one, two])
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    body = tomllib.loads((tmp_path / "1").read_text())
    assert body["version"] == 1
    assert [model["ref"] for model in body["model"]] == ["a", "b"]


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
names = texts.filter(
    lambda t: not any(c in t for c in "/\\\0:") and t not in (".", "..") and len(t.encode()) < 200
)
digests = st.binary().map(lambda data: hashlib.sha256(data).hexdigest())
models = st.builds(
    LockedModel,
    texts,
    texts,
    st.dictionaries(names, digests),
    st.dictionaries(names, digests),
    st.none() | texts,
)


@settings(max_examples=50, deadline=None)
@given(st.lists(models, unique_by=lambda model: model.ref))
def test_any_names_survive_the_file(drawn: list[LockedModel]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "zoo.lock"
        write_lock(path, drawn)
        assert set(map(repr, read_lock(path).models)) == set(map(repr, drawn))


GOOD = f"""version = 1
[[model]]
ref = "m"
kind = "zoo"
sources = []
files = [{{ path = "m.onnx", sha256 = "{digest("m")}" }}]
"""


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("version = 1", "version = 2", "version is 2"),
        ("version = 1", "", "version is None"),
        ('ref = "m"', "", r"model\[0\]\.ref is None"),
        ('ref = "m"', "ref = 3", r"model\[0\]\.ref is 3"),
        ('kind = "zoo"', 'kind = "zoo"\nkinds = 1', r"model\[0\] has unknown keys: kinds"),
        ("sources = []", "", r"model\[0\]\.sources is not an array"),
        (digest("m"), "abc", r"model\[0\]\.files\[0\]\.sha256 is no sha256: 'abc'"),
        ('path = "m.onnx",', "", r"model\[0\]\.files\[0\] needs the keys path and sha256"),
        ("[[model]]", "[model]", "model is not an array of tables"),
        ("sources = []", "sources = [", r"line \d"),
        ("version = 1", "\x00", "line 1"),
    ],
)
def test_an_error_names_the_file_and_the_place(tmp_path: Path, old: str, new: str, named: str) -> None:
    path = tmp_path / "zoo.lock"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(RegistryFormatError, match=named) as caught:
        read_lock(path)
    assert str(path) in str(caught.value)


def test_a_good_file_of_these_tests_is_read(tmp_path: Path) -> None:
    (tmp_path / "zoo.lock").write_text(GOOD)
    assert read_lock(tmp_path / "zoo.lock").find("m").files == {"m.onnx": digest("m")}


def test_a_model_locked_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zoo.lock").write_text(GOOD + GOOD.split("\n", 1)[1])
    with pytest.raises(RegistryFormatError, match="locked twice"):
        read_lock(tmp_path / "zoo.lock")


def test_a_file_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "zoo.lock").write_text(GOOD.replace("m.onnx", "../m.onnx"))
    with pytest.raises(StoreError, match="does not stay inside"):
        read_lock(tmp_path / "zoo.lock")


def test_a_lock_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RegistryFormatError, match="No such file") as caught:
        read_lock(tmp_path / "zoo.lock")
    assert "zoo lock" in (caught.value.hint or "")


def test_writing_replaces_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "zoo.lock"
    write_lock(path, [])
    before = path.stat().st_ino
    write_lock(path, [LockedModel("m", "zoo", {}, {})])
    assert path.stat().st_ino != before
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("zoo.lock")] == ["zoo.lock"]


# --- what is refused --------------------------------------------------------------------------------


def test_the_locked_model_is_let_through(lock: LockFile) -> None:
    assert check_entry(lock, ENTRY).ref == "chord:fp32"
    check_model(lock, ENTRY.ref, MODEL, FILES)


def test_a_model_that_is_not_locked_is_refused(lock: LockFile) -> None:
    with pytest.raises(UnknownModelError, match="'chord:int8' is not locked"):
        check_entry(lock, replace(ENTRY, variant="int8"))


@pytest.mark.parametrize(
    "files",
    [
        (replace(ENTRY.files[0], sha256=digest("new pb")), ENTRY.files[1]),
        (ENTRY.files[0],),
        (*ENTRY.files, FileSpec("more", digest("more"), 4, ())),
        (replace(ENTRY.files[0], sha256=None), ENTRY.files[1]),
    ],
)
def test_an_entry_with_other_sources_is_refused(lock: LockFile, files: tuple[FileSpec, ...]) -> None:
    with pytest.raises(DigestMismatchError, match="not the model locked in"):
        check_entry(lock, replace(ENTRY, files=files))


def test_the_error_names_file_and_both_digests(lock: LockFile) -> None:
    changed = (replace(ENTRY.files[0], sha256=digest("new pb")), ENTRY.files[1])
    with pytest.raises(DigestMismatchError) as caught:
        check_entry(lock, replace(ENTRY, files=changed))
    for part in ("saved_model.pb", digest("pb"), digest("new pb")):
        assert part in str(caught.value)


def test_other_bytes_of_the_same_graph_are_the_same_converted_model(lock: LockFile) -> None:
    check_model(lock, ENTRY.ref, replace(MODEL, digest=digest("again")), {"chord.onnx": digest("again")})


def test_other_bytes_of_another_graph_are_refused(lock: LockFile) -> None:
    other = replace(MODEL, digest=digest("other"), graph_digest=digest("other graph"))
    with pytest.raises(DigestMismatchError, match=r"chord\.onnx"):
        check_model(lock, ENTRY.ref, other, {**FILES, "chord.onnx": digest("other")})


def test_other_bytes_of_an_unknown_graph_are_refused(tmp_path: Path) -> None:
    model = replace(MODEL, graph_digest=None)
    lock = write_lock(tmp_path / "zoo.lock", [locked_model(ENTRY, model, FILES)])
    with pytest.raises(DigestMismatchError):
        check_model(lock, ENTRY.ref, model, {**FILES, "chord.onnx": digest("other")})


def test_other_bytes_of_a_model_that_was_onnx_at_the_source_are_refused(tmp_path: Path) -> None:
    entry = zoo_entry(ENTRY)
    lock = write_lock(tmp_path / "zoo.lock", [locked_model(entry, MODEL, FILES)])
    with pytest.raises(DigestMismatchError):
        check_model(lock, entry.ref, MODEL, {**FILES, "chord.onnx": digest("other")})


def test_missing_external_data_is_refused(tmp_path: Path) -> None:
    entry = zoo_entry(ENTRY)
    lock = write_lock(tmp_path / "zoo.lock", [locked_model(entry, MODEL, FILES)])
    with pytest.raises(DigestMismatchError, match=r"chord\.data is absent"):
        check_model(lock, entry.ref, MODEL, {"chord.onnx": digest("onnx")})
