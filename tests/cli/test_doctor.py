"""What `zoo doctor` says of a machine that lacks something."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.cli.main import run
from zoo.doctor import Diagnosis, doctor
from zoo.environments import stored


def _facts(found: Diagnosis, section: str) -> dict[str, str]:
    return {fact.name: fact.value for fact in found.facts if fact.section == section}


def test_every_section_is_there_and_nothing_is_fetched_offline(cache_dir: Path) -> None:
    found = doctor(offline=True)
    assert {fact.section for fact in found.facts} == {
        "versions", "converters", "java", "older releases", "sandbox", "onnx runtime", "network", "store",
    }  # fmt: skip
    assert _facts(found, "network")["offline"] == "no socket is opened"
    assert _facts(found, "store")["folder"] == str(cache_dir)


def test_an_environment_that_no_lock_asks_for_is_noted(cache_dir: Path) -> None:
    folder = cache_dir / "environments" / "chainer-0123456789ab.gone-1"
    folder.mkdir(parents=True)
    left = stored.Environment("chainer", "3.11.7", folder / "bin" / "python", folder, "0123456789ab", {})
    stored.write(left)
    folder.with_suffix("").symlink_to(folder.name)
    found = doctor(offline=True)
    assert "3.11.7 that no lock file asks for" in _facts(found, "older releases")["chainer"]
    assert _facts(found, "converters")["chainer"].startswith("environment not built")


def test_a_java_that_is_missing_is_noted_with_the_way_to_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zoo.environments.javas._candidates", lambda: iter(()))
    noted = {fact.name: fact for fact in doctor(offline=True).facts if fact.section == "java"}
    assert noted["spark"].status == "note"
    assert "openjdk-17" in str(noted["spark"].hint)


def test_json_is_one_document_with_every_fact(cache_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["doctor", "--offline", "--json"])
    shown = json.loads(capsys.readouterr().out)
    assert {"section", "name", "value", "status", "hint"} == set(shown["facts"][0])


def test_a_jail_weaker_than_wanted_is_a_problem(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from zoo import sandbox

    if sandbox.level() == "bwrap":
        pytest.skip("bubblewrap works here: no jail is stronger")
    monkeypatch.setenv("ZOO_SANDBOX", "bwrap")
    assert run(["doctor", "--offline", "-q"]) == 14
    assert f"! level  {sandbox.level()}" in capsys.readouterr().out


def test_an_index_that_does_not_answer_is_named_with_its_reason(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:secret@127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    found = [fact for fact in doctor().facts if fact.name == "package index" and "127.0.0.1" in fact.value]
    assert [fact.status for fact in found] == ["problem"]
    assert "http://127.0.0.1:9/simple: " in found[0].value
    assert "refused" in found[0].value
    assert "secret" not in found[0].value


def test_an_old_package_is_a_conflict_that_names_what_is_wanted(tmp_path: Path) -> None:
    folder = tmp_path / "tqdm-0.1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: tqdm\nVersion: 0.1\n")
    environment = {"PYTHONPATH": str(tmp_path), "ZOO_CACHE": str(tmp_path / "store"), "PATH": "/usr/bin:/bin"}
    shown = subprocess.run(
        [sys.executable, "-m", "zoo", "doctor", "--offline", "-q"],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert shown.returncode == 14
    assert "needs tqdm>=4.67, installed is 0.1" in shown.stdout
