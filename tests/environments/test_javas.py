"""A Java is found where people keep them, by what is in its folder, and none is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.environments import javas
from zoo.environments.javas import find_java, major
from zoo.errors import MissingJavaError


def _java(folder: Path, version: str) -> Path:
    (folder / "lib" / "server").mkdir(parents=True)
    (folder / "conf").mkdir()
    (folder / "lib" / "server" / "libjvm.so").touch()
    (folder / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\nOS_NAME="Linux"\n')
    return folder


@pytest.fixture(autouse=True)
def _nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr(javas, "_ROOTS", (str(tmp_path / "jvm"),))


def test_the_one_that_is_named_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _java(tmp_path / "jvm" / "a", "21.0.1")
    named = _java(tmp_path / "elsewhere", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(named))

    found = find_java(11)

    assert (found.home, found.version) == (named, "17.0.15")


def test_one_on_path_is_followed_to_its_home(tmp_path: Path) -> None:
    home = _java(tmp_path / "opt" / "jdk", "17.0.2")
    (home / "bin").mkdir()
    program = home / "bin" / "java"
    program.touch(mode=0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "java").symlink_to(program)

    assert find_java(17).home == home


def test_one_of_sdkman_is_found(tmp_path: Path) -> None:
    home = _java(tmp_path / "home" / ".sdkman" / "candidates" / "java" / "17.0.9-tem", "17.0.9")

    assert find_java(17).home == home


def test_too_old_and_too_new_ones_are_passed_over_and_named(tmp_path: Path) -> None:
    _java(tmp_path / "jvm" / "old", "1.8.0_392")
    _java(tmp_path / "jvm" / "new", "25.0.3")

    with pytest.raises(
        MissingJavaError, match=r"no Java 17 to 21 .*found: 25.0.3 in .*, 1.8.0_392 in"
    ) as caught:
        find_java(17, 21)

    assert "apt install openjdk-17-jre-headless" in (caught.value.hint or "")


def test_settings_that_lie_elsewhere_are_told(tmp_path: Path) -> None:
    home = _java(tmp_path / "jvm" / "debian", "17.0.15")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "java.security").touch()
    (home / "conf" / "java.security").symlink_to(tmp_path / "etc" / "java.security")

    assert find_java(17).outside == (tmp_path / "etc" / "java.security",)


@pytest.mark.parametrize(("version", "number"), [("17.0.15", 17), ("1.8.0_392", 8), ("21", 21)])
def test_the_major_version_is_read(version: str, number: int) -> None:
    assert major(version) == number
