"""The index saves the parsing, and never outlives the file that it was made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.registry.files import ENTRY, written
from zoo.registry import catalogue, load, reading


@pytest.fixture(autouse=True)
def _fresh_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "_loaded", {})


@pytest.fixture
def compilations(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were compiled, in order."""
    seen: list[Path] = []
    compile_file = reading.compile_file
    monkeypatch.setattr(reading, "compile_file", lambda path: seen.append(path) or compile_file(path))
    return seen


def reload(path: Path):
    """`load` as another process would."""
    catalogue._loaded.clear()
    return load(path)


def index_of(cache: Path) -> Path:
    (place,) = (cache / "registry").glob("*.index")
    return place


def test_a_second_process_reads_the_index(tmp_path, compilations) -> None:
    path = written(tmp_path)
    first = load(path).entries()
    assert reload(path).entries() == first
    assert compilations == [path]


def test_a_second_call_reads_nothing(tmp_path) -> None:
    path = written(tmp_path)
    assert load(path) is load(path)


def test_a_change_is_seen_within_a_process(tmp_path) -> None:
    path = written(tmp_path)
    load(path)
    written(tmp_path, ENTRY.replace("A small net.", "A large net."))
    assert load(path).find("tiny").description == "A large net."


def test_a_change_of_the_same_size_and_time_is_seen(tmp_path, compilations) -> None:
    path = written(tmp_path, age=60)
    load(path)
    times = path.stat()
    path.write_text(ENTRY.replace("A small net.", "A short net."))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert reload(path).find("tiny").description == "A short net."
    assert len(compilations) == 2


def test_a_file_changed_just_now_is_not_indexed(tmp_path, cache_dir) -> None:
    load(written(tmp_path, age=0))
    assert not (cache_dir / "registry").exists()


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b"", lambda b: b.replace(b"small net", b"SMALL net")]
)
def test_a_damaged_index_is_made_anew(tmp_path, cache_dir, compilations, damage) -> None:
    path = written(tmp_path)
    load(path)
    place = index_of(cache_dir)
    place.write_bytes(damage(place.read_bytes()))
    assert reload(path).find("tiny").description == "A small net."
    assert len(compilations) == 2


def test_an_index_that_others_can_write_is_not_trusted(tmp_path, cache_dir, compilations) -> None:
    path = written(tmp_path)
    load(path)
    index_of(cache_dir).chmod(0o666)
    reload(path)
    assert len(compilations) == 2


def test_an_index_of_another_version_is_made_anew(tmp_path, cache_dir, compilations) -> None:
    path = written(tmp_path)
    load(path)
    place = index_of(cache_dir)
    header, _, body = place.read_bytes().partition(b"\n")
    facts = json.loads(header)
    facts["fingerprint"][0] = -1
    place.write_bytes(json.dumps(facts).encode() + b"\n" + body)
    reload(path)
    assert len(compilations) == 2


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path, monkeypatch) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the cache folder should be")
    monkeypatch.setenv("ZOO_CACHE", str(blocked))
    assert load(written(tmp_path)).find("tiny").name == "tiny"


def test_the_cache_can_be_given(tmp_path, cache_dir) -> None:
    load(written(tmp_path), cache=tmp_path / "other")
    assert index_of(tmp_path / "other").is_file()
    assert not cache_dir.exists()


def test_nothing_is_left_beside_the_index(tmp_path, cache_dir) -> None:
    load(written(tmp_path))
    assert len(list((cache_dir / "registry").iterdir())) == 1


def test_a_warm_read_imports_neither_yaml_nor_msgspec(tmp_path) -> None:
    path = written(tmp_path)
    load(path)
    script = (
        "import sys, zoo.registry as r; r.load(sys.argv[1]).find('small:int8');"
        "print(sorted({'yaml', 'msgspec', 'numpy', 'zoo.plugins'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
