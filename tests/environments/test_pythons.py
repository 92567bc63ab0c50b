"""Pythons are found where people keep them, and only those that start and fit are taken."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zoo.environments.pythons import find_python
from zoo.errors import MissingPythonError

HERE = "==" + ".".join(map(str, sys.version_info[:3]))


def _script(path: Path, version: str, makes: bool = True) -> Path:
    """A program that says of itself what the probe asks a Python for."""
    path.parent.mkdir(parents=True, exist_ok=True)
    said = f'{{"version": "{version}", "pip": false, "makes": {str(makes).lower()}}}'
    path.write_text(f"#!/bin/sh\necho '{said}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def _nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))


def test_this_python_comes_first(tmp_path: Path) -> None:
    _script(tmp_path / "bin" / f"python3.{sys.version_info[1]}", "3.11.99")
    found = find_python(HERE)
    assert found.program == Path(sys.executable)
    assert found.makes


def test_one_on_path_is_found(tmp_path: Path) -> None:
    program = _script(tmp_path / "bin" / "python3.9", "3.9.18")
    assert find_python(">=3.9,<3.10").program == program


def test_one_of_pyenv_is_found_and_the_newest_taken(tmp_path: Path) -> None:
    for version in ("3.9.2", "3.9.18"):
        _script(tmp_path / "pyenv" / "versions" / version / "bin" / "python3.9", version)
    assert find_python(">=3.9,<3.10").version == "3.9.18"


def test_one_of_uv_is_found(tmp_path: Path) -> None:
    program = _script(tmp_path / "uv-pythons" / "python3.9", "3.9.20")
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(f'#!/bin/sh\ncase "$*" in "python find"*" 3.9") echo {program};; *) exit 2;; esac\n')
    uv.chmod(0o755)
    assert find_python(">=3.9,<3.10").program == program


def test_what_does_not_start_or_is_another_version_is_passed_over(tmp_path: Path) -> None:
    dead = tmp_path / "bin" / "python3.9"
    dead.parent.mkdir()
    dead.write_text("#!/nowhere/python\n")
    dead.chmod(0o755)
    _script(tmp_path / "pyenv" / "versions" / "3.9.1" / "bin" / "python3.9", "3.10.0")
    with pytest.raises(MissingPythonError, match=r"no Python >=3\.9,<3\.10 was found"):
        find_python(">=3.9,<3.10")


def test_a_shim_of_pyenv_is_not_taken_for_a_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(tmp_path / "shims" / "python3.9", "3.9.18")
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    with pytest.raises(MissingPythonError):
        find_python(">=3.9,<3.10")


def test_a_python_without_venv_is_named_with_the_package_that_brings_it(tmp_path: Path) -> None:
    program = _script(tmp_path / "bin" / "python3.9", "3.9.18", makes=False)
    with pytest.raises(MissingPythonError, match=f"{program} cannot make environments") as caught:
        find_python(">=3.9,<3.10")
    assert "apt install python3.9-venv" in (caught.value.hint or "")
    assert find_python(">=3.9,<3.10", has_uv=True).program == program
