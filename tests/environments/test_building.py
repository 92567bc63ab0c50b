"""Environments are built once, wholly or not at all, and a failure says what to do."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.environments.wheels import make_wheel, write_lock
from zoo import environments
from zoo.cli.main import run
from zoo.environments import building, stored
from zoo.environments.locks import need_lock
from zoo.errors import (
    DigestMismatchError,
    DiskFullError,
    EnvironmentBuildError,
    FetchError,
    MissingPackageError,
    MissingPythonError,
    UsageError,
)
from zoo.store import Store

USERS_PATH = os.environ.get("PATH")
BUILD = [sys.executable, "-m", "zoo", "env", "build"]


def _built(cache_dir: Path) -> list[Path]:
    return sorted((cache_dir / "environments").glob("*"))


def test_an_environment_has_what_its_lock_says_and_nothing_else(small: str) -> None:
    said: list[str] = []
    built = environments.build(small, on_stage=said.append)
    code = (
        "from importlib.metadata import distributions as d; print(*sorted(x.metadata['Name'] for x in d()))"
    )
    command = [built.interpreter, "-I", "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["numpy", "onnx", "small_framework"]
    assert built.lock == need_lock(small).digest
    assert built.isolated
    assert [line for line in said if "installing 3 packages" in line]


def test_a_built_environment_is_used_again(small: str) -> None:
    first = environments.build(small)
    said: list[str] = []
    assert environments.build(small, on_stage=said.append) == first
    assert said == []


def test_a_changed_lock_is_another_environment(small: str, plugin: Path) -> None:
    first = environments.build(small)
    lock = plugin / "locks" / "small.toml"
    lock.write_text(lock.read_text() + '\n[variables]\nMODE = "new"\n')
    assert [one.state for one in environments.list() if one.name == small] == ["not built", "outdated"]
    second = environments.build(small)
    assert second.folder != first.folder
    assert second.variables == {"MODE": "new"}
    assert [one.path for one in environments.remove(unused=True)] == [first.folder]
    assert not first.folder.exists()
    assert stored.ready(need_lock(small), Store.open()) == second


def test_three_processes_build_it_once(small: str, cache_dir: Path) -> None:
    processes = [subprocess.Popen([*BUILD, small], stdout=-1, stderr=-1, text=True) for _ in range(3)]
    ended = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len({out for out, _ in ended}) == 1
    assert sum("creating it" in err for _, err in ended) == 1
    assert len(_built(cache_dir)) == 2  # the link and its folder


def test_builders_that_no_lock_keeps_apart_end_with_one_environment(small: str, cache_dir: Path) -> None:
    lock, store, found = need_lock(small), Store.open(), []

    def work() -> None:
        found.append(building._built(lock, store, lambda text: None))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    assert len(_built(cache_dir)) == 2


def test_a_killed_build_leaves_nothing_that_is_used_and_the_next_one_clears_up(
    small: str, cache_dir: Path
) -> None:
    process = subprocess.Popen([*BUILD, small], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list((cache_dir / "environments").glob("*/bin/python")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (left,) = _built(cache_dir)
    assert stored.ready(need_lock(small), Store.open()) is None
    assert [one.active for one in Store.open().list().leftovers] == [False]
    built = environments.build(small)
    assert _built(cache_dir) == [cache_dir / "environments" / need_lock(small).key, built.folder]
    assert not left.exists()


def test_the_installer_dies_with_the_builder(
    small: str, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()  # pip is connected, and waits for an answer
        for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        monkeypatch.setenv("PIP_DEFAULT_TIMEOUT", "60")
        process = subprocess.Popen([*BUILD, small], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        waiting = silent.accept()[0]
        children = _children(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline = time.monotonic() + 10
        while any(map(_lives, children)) and time.monotonic() < deadline:
            time.sleep(0.05)
        waiting.close()
    assert children
    assert not any(map(_lives, children))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_an_environment_whose_python_is_gone_is_built_anew(small: str, cache_dir: Path) -> None:
    first = environments.build(small)
    first.interpreter.unlink()
    first.interpreter.symlink_to("/nowhere/python")
    assert [one.state for one in environments.list() if one.name == small] == ["broken"]
    second = environments.build(small)
    assert second.folder != first.folder
    assert stored.ready(need_lock(small), Store.open()) == second


def test_a_read_only_layer_serves_its_environments(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = environments.build(small, cache=tmp_path / "shared")
    monkeypatch.setenv("ZOO_CACHE_LAYERS", str(tmp_path / "shared"))
    assert environments.build(small) == built
    assert [one.state for one in environments.list() if one.name == small] == ["built"]


def test_constraints_of_the_user_do_not_contradict_the_lock(
    small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "constraints.txt").write_text("small_framework==7\n")
    monkeypatch.setenv("PIP_CONSTRAINT", str(tmp_path / "constraints.txt"))
    monkeypatch.setenv("PIP_REQUIRE_VIRTUALENV", "1")
    assert environments.build(small).isolated


def test_uv_builds_the_same_where_it_is_installed(
    small: str, plugin: Path, monkeypatch: pytest.MonkeyPatch, cache_dir: Path
) -> None:
    uv = shutil.which("uv", path=USERS_PATH)
    if uv is None:
        pytest.skip("uv is not on PATH: `pip install uv`")
    monkeypatch.setenv("PATH", f"{Path(uv).parent}:/usr/bin:/bin")
    said: list[str] = []
    built = environments.build(small, on_stage=said.append)
    code = "import small_framework, sys; print(sys.prefix)"
    found = subprocess.run([built.interpreter, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert Path(found.stdout.strip()) == built.folder
    assert any("Installed 3 packages" in line for line in said)
    write_lock(plugin / "locks", "wrong", {"numpy": "0" * 64})
    with pytest.raises(DigestMismatchError, match=r"'wrong' was not built: .*[Hh]ash"):
        environments.build("wrong")


# --- failures -----------------------------------------------------------------------------------------


def test_a_file_with_another_hash_is_refused(small: str, plugin: Path, cache_dir: Path) -> None:
    write_lock(plugin / "locks", "wrong", {"numpy": "0" * 64})
    with pytest.raises(DigestMismatchError, match=r"'wrong' was not built: .*hash") as caught:
        environments.build("wrong")
    assert "numpy" in (caught.value.detail or "")
    assert _built(cache_dir) == []


def test_an_index_that_is_not_reached_is_said_with_the_ways_out(
    small: str, monkeypatch: pytest.MonkeyPatch, cache_dir: Path
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed.getsockname()[1]}/simple")
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(
        FetchError, match=r"'small' \(3 packages\) needs the package index, which was not"
    ) as caught:
        environments.build(small)
    hint = caught.value.hint or ""
    assert "`zoo env build small`" in hint
    assert "PIP_INDEX_URL" in hint
    assert "pip install 'onnx-zoo-pipeline[small]'" in hint
    assert _built(cache_dir) == []


def test_a_lock_may_name_an_index_for_what_the_configured_one_lacks(
    small: str, plugin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "empty").as_uri())
    place = tmp_path / "other" / "special"
    pins = {name: make_wheel(tmp_path / "wheels", name) for name in ("numpy", "onnx")}
    pins["special"] = make_wheel(place, "special")
    (place / "index.html").write_text(
        '<a href="special-1.0-py3-none-any.whl">special-1.0-py3-none-any.whl</a>'
    )
    write_lock(plugin / "locks", "apart", pins, more=f'indexes = ["{(tmp_path / "other").as_uri()}"]\n')
    said: list[str] = []
    built = environments.build("apart", on_stage=said.append)
    subprocess.run([built.interpreter, "-I", "-c", "import special"], check=True)
    assert any("looking at file:" in line for line in said)


def test_a_package_that_the_index_lacks_is_said(small: str, tmp_path: Path) -> None:
    (tmp_path / "wheels" / "onnx-1.0-py3-none-any.whl").unlink()
    with pytest.raises(FetchError, match=r"has not all that the environment 'small' needs: .*onnx==1.0"):
        environments.build(small)


def test_an_environment_that_does_not_start_is_not_kept(
    small: str, plugin: Path, tmp_path: Path, cache_dir: Path
) -> None:
    broken = make_wheel(tmp_path / "wheels", "onnx", code="raise RuntimeError('not on this machine')")
    write_lock(
        plugin / "locks", "broken", {"numpy": make_wheel(tmp_path / "wheels", "numpy"), "onnx": broken}
    )
    with pytest.raises(EnvironmentBuildError, match="not on this machine"):
        environments.build("broken")
    assert _built(cache_dir) == []


def test_a_missing_python_is_said_with_the_ways_to_get_it(small: str, plugin: Path, cache_dir: Path) -> None:
    write_lock(plugin / "locks", "future", {"numpy": "0" * 64}, python=">=3.15,<3.16")
    with pytest.raises(MissingPythonError, match=r"no Python >=3.15,<3.16 was found") as caught:
        environments.build("future")
    assert "pyenv install 3.15" in (caught.value.hint or "")
    assert _built(cache_dir) == []


def test_offline_builds_nothing_and_uses_what_is_there(small: str, cache_dir: Path) -> None:
    with pytest.raises(MissingPackageError, match="the environment 'small' is not built") as caught:
        environments.build(small, offline=True)
    assert "`zoo env build small` with a network" in (caught.value.hint or "")
    assert not cache_dir.exists()
    built = environments.build(small)
    assert environments.build(small, offline=True) == built


def test_a_full_disk_is_said_and_nothing_is_left(small: str, plugin: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = make_wheel(tmp_path / "wheels", "large", padding=64 << 20)
    write_lock(plugin / "locks", "large", {"large": size})
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a small disk")
    try:
        with pytest.raises(DiskFullError, match="no room to build the environment 'large'"):
            environments.build("large", cache=disk)
        assert list((disk / "environments").iterdir()) == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_store_that_may_not_be_written_is_said(small: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert run(["env", "build", small, "--cache", str(tmp_path / "file")]) == 6


# --- zoo env --------------------------------------------------------------------------------------------


def test_env_list_and_remove_tell_and_free(
    small: str, cache_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    built = environments.build(small)
    assert run(["env", "list"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("small "))
    assert row.split()[1:4] == ["built", built.python, str(built.lock)[:12]]
    assert run(["env", "remove", small]) == 0
    assert "freed" in capsys.readouterr().out
    assert _built(cache_dir) == []
    assert run(["env", "remove", small]) == 2
    assert run(["env", "remove"]) == 2


def test_env_remove_older_takes_what_was_not_used(small: str) -> None:
    built = environments.build(small)
    assert environments.remove(older=86400) == ()
    os.utime(built.folder / "environment.json", (0, time.time() - 2 * 86400))
    assert [one.name for one in environments.remove(older=86400)] == [small]


def test_a_use_is_noted(small: str) -> None:
    note = environments.build(small).folder / "environment.json"
    os.utime(note, (0, 0))
    environments.build(small)
    assert note.stat().st_mtime > time.time() - 60


def test_pruning_the_cache_takes_environments_without_a_lock_file(
    small: str, plugin: Path, cache_dir: Path
) -> None:
    from zoo import cache

    built = environments.build(small)
    found = cache.list()
    assert [one.folder for one in found.environments] == [built.folder]
    assert found.size == found.environments[0].size > 0
    assert cache.prune(grace=0).removed[0].what != "environment"
    (plugin / "locks" / "small.toml").unlink()
    removed = cache.prune(grace=0)
    assert [one.name for one in removed.removed if one.what == "environment"] == [
        f"small-{str(built.lock)[:12]}"
    ]
    assert removed.after == 0
    assert _built(cache_dir) == []


def test_pruning_to_a_size_takes_environments_used_longest_ago(small: str, cache_dir: Path) -> None:
    from zoo import cache

    built = environments.build(small)
    assert cache.prune(max_size=1 << 30, grace=0).after > 0
    assert cache.prune(max_size=1 << 10, grace=3600).after > 0  # it was used within the grace
    cache.prune(max_size=1 << 10, grace=0)
    assert not built.folder.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('title = "x"', "no python, no requirements"),
        ('title = "x"\npython = "3"\nrequirements = []\ncolour = 1', "unknown key colour"),
        ("title = ", "Invalid value"),
    ],
)
def test_a_wrong_lock_file_is_said(plugin: Path, text: str, message: str) -> None:
    (plugin / "locks" / "odd.toml").write_text(text)
    with pytest.raises(UsageError, match=f"odd.toml: .*{message}"):
        environments.find_lock("odd", "tinyfw")


def test_a_pin_without_a_hash_is_refused(plugin: Path) -> None:
    write_lock(plugin / "locks", "open", {"numpy": "0" * 64})
    (plugin / "locks" / "open.txt").write_text("numpy==1.0\n")
    with pytest.raises(UsageError, match=r"'numpy==1.0' in a lock file is not name==version with --hash="):
        environments.find_lock("open", "tinyfw")


def test_every_built_in_lock_can_be_read_and_holds_what_the_worker_needs() -> None:
    for lock in environments.known_locks():
        assert {"numpy", "onnx"} <= {pin.name for pin in lock.pins}, lock.name
