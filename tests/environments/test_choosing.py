"""Which environment loads a source: the current one where it will do, else that of the lock file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.environments.wheels import write_lock
from zoo import environments
from zoo.cli.main import run
from zoo.environments import Wish, choose, stored
from zoo.errors import MissingPackageError
from zoo.records import Detection

TINY = Detection("tinyfw", "text", "tinyfw text")
SKLEARN = Detection("sklearn", "pickle", "a pickle")


def _small_lock(plugin: Path, more: str = "") -> None:
    """The lock of tinyfw's framework, made of small wheels."""
    pins = {line.partition("==")[0]: line.partition("sha256:")[2] for line in _lines(plugin)}
    write_lock(plugin / "locks", "tinyfw", pins, more=more)


def _lines(plugin: Path) -> list[str]:
    text = (plugin / "locks" / "small.txt").read_text().replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if "==" in line]


def test_the_current_environment_is_used_where_it_has_what_is_needed(cache_dir: Path) -> None:
    assert choose("sklearn", SKLEARN, Wish()) == stored.current()
    assert not cache_dir.exists()


def test_what_is_missing_here_is_built(small: str, plugin: Path) -> None:
    _small_lock(plugin)
    said: list[str] = []
    chosen = choose("tinyfw", TINY, Wish(say=said.append))
    assert chosen.name == "tinyfw"
    assert said[0].startswith("environment tinyfw: creating it with Python 3.")
    assert choose("tinyfw", TINY, Wish(offline=True)) == chosen


def test_a_lock_may_say_what_the_current_environment_must_have(small: str, plugin: Path) -> None:
    _small_lock(plugin, 'satisfied_by = ["no-such-thing|numpy>=1", "onnx"]\n')
    assert choose("tinyfw", TINY, Wish()) == stored.current()
    _small_lock(plugin, 'satisfied_by = ["numpy>=99"]\n')
    with pytest.raises(MissingPackageError, match="need numpy>=99, which"):
        choose("tinyfw", TINY, Wish(offline=True))


def test_isolated_never_takes_the_current_environment(small: str, plugin: Path) -> None:
    _small_lock(plugin, 'satisfied_by = ["numpy"]\n')
    assert choose("tinyfw", TINY, Wish(isolated=True)).name == "tinyfw"


def test_offline_says_what_is_missing_and_both_ways_to_get_it(small: str, plugin: Path) -> None:
    _small_lock(plugin)
    with pytest.raises(
        MissingPackageError, match=r"Small models need .*small_framework==1.0, which .* does not"
    ) as e:
        choose("tinyfw", TINY, Wish(offline=True))
    assert "`zoo env build tinyfw`" in (e.value.hint or "")
    assert "pip install 'onnx-zoo-pipeline[small]'" in (e.value.hint or "")


def test_a_converter_without_a_lock_runs_here_and_cannot_be_isolated(plugin: Path) -> None:
    (plugin / "locks" / "tinyfw.toml").unlink()
    assert choose("tinyfw", TINY, Wish()) == stored.current()
    with pytest.raises(MissingPackageError, match="'tinyfw' brings no lock file"):
        choose("tinyfw", TINY, Wish(isolated=True))


def test_a_failed_build_names_the_extra_that_would_do(small: str, plugin: Path) -> None:
    write_lock(plugin / "locks", "tinyfw", {"small_framework": "0" * 64}, python=">=3.15,<3.16")
    with pytest.raises(MissingPackageError, match="no Python") as caught:
        choose("tinyfw", TINY, Wish())
    assert "pip install 'onnx-zoo-pipeline[small]'" in (caught.value.hint or "")


def test_env_build_offline_ends_with_eleven(
    small: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    assert run(["env", "build", small, "--json"]) == 11
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "MissingPackageError"


def test_a_look_up_is_cheap(small: str) -> None:
    import time

    environments.build(small)
    start = time.perf_counter()
    for _ in range(10):
        environments.build(small)
    assert (time.perf_counter() - start) / 10 < 0.2  # ten times the bound: this machine may be busy
