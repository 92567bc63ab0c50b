"""Write the ``.txt`` of a lock from its ``.toml``: ``python -m zoo.environments.locking NAME-OR-TOML…``.

With uv (on ``PATH``) the closure is resolved for all Pythons that the lock allows, with the hashes of all
files that the index has of a version; without it by pip for the Python that is found, with one hash each.
Either may have to run the ``setup.py`` of a package that exists as source only, to learn what it needs: the
lock's `build_requirements` bound what that runs with.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zoo.environments.locks import ASKED, PINS, lock_folders, parse_pins, read_asked
from zoo.environments.pythons import find_python
from zoo.errors import EnvironmentBuildError, UsageError
from zoo.records import record

_HEAD = "# Written by `python -m zoo.environments.locking {name}` from {name}.toml: edit that.\n"


def relock(path: Path) -> Path:
    """Resolve the requirements of a ``.toml`` anew; returns the ``.txt``, which is replaced.

    Raises `UsageError` for a wrong ``.toml`` and `EnvironmentBuildError` where nothing satisfies it.
    """
    asked = read_asked(path)
    build = tuple(asked.get("build_requirements", ()))
    variables = {**os.environ, **asked.get("variables", {})}
    wanted = Wanted((*asked["requirements"], *build), build, asked["python"], variables)
    uv = shutil.which("uv")
    text = _by_uv(uv, wanted) if uv else _by_pip(wanted)
    pins = sorted(parse_pins(text), key=lambda pin: (pin.name, pin.version))
    for needed in ("numpy", "onnx"):
        if needed not in {pin.name for pin in pins}:
            raise UsageError(f"{path}: nothing brings {needed}, which the worker needs", hint="Require it.")
    target = path.with_suffix(PINS)
    entries = [pin.lines.replace(" --hash", " \\\n    --hash") for pin in pins]
    target.write_text(
        _HEAD.format(name=path.stem) + "".join(f"{entry}\n" for entry in entries), encoding="utf-8"
    )
    return target


@record
class Wanted:
    """Requirements, those of builds among them, for Pythons; `variables` are those of the processes."""

    requirements: tuple[str, ...]
    build: tuple[str, ...]
    python: str
    variables: dict[str, str]


def _by_uv(uv: str, wanted: Wanted) -> str:
    from zoo.fetchers.pip_index import pip_config

    lowest, *others = _minors(wanted.python)
    command = [
        uv,
        "pip",
        "compile",
        "--quiet",
        "--no-config",
        "--generate-hashes",
        "--no-annotate",
        "--no-header",
    ]
    command += ["--python-version", lowest, "--no-python-downloads", "--index-url", pip_config().indexes[0]]
    command += ["--universal"] if others else ["--python-platform", "x86_64-manylinux_2_28"]
    for place in pip_config().find_links:
        command += ["--find-links", place]
    with tempfile.TemporaryDirectory() as folder:
        command += ["--build-constraints", str(_listed(wanted.build, Path(folder)))]
        return _said([*command, "-"], wanted.variables, "\n".join(wanted.requirements))


def _by_pip(wanted: Wanted) -> str:
    program = find_python(wanted.python).program
    with tempfile.TemporaryDirectory() as folder:
        _said([str(program), "-m", "venv", folder], wanted.variables)
        # pip before 25.3 hands the first to its builds; the second is the name since then.
        names = ("PIP_CONSTRAINT", "PIP_BUILD_CONSTRAINT")
        bounded = {**wanted.variables, **dict.fromkeys(names, str(_listed(wanted.build, Path(folder))))}
        dry = [f"{folder}/bin/python", "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
        report = _said([*dry, "--report", "-", *wanted.requirements], bounded)
        return "".join(_from_report(json.loads(report)))


def _listed(requirements: tuple[str, ...], folder: Path) -> Path:
    """A file with one requirement on each line."""
    path = folder / "build-constraints.txt"
    path.write_text("".join(f"{line}\n" for line in requirements), encoding="utf-8")
    return path


def _from_report(report: dict[str, list[dict[str, dict[str, dict[str, dict[str, str]]]]]]) -> Iterator[str]:
    for item in report["install"]:
        found = item["metadata"]
        hashes = item["download_info"]["archive_info"]["hashes"]
        yield f"{found['name']}=={found['version']} --hash=sha256:{hashes['sha256']}\n"


def _said(command: list[str], variables: dict[str, str], given: str | None = None) -> str:
    done = subprocess.run(command, input=given, env=variables, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        error = EnvironmentBuildError(f"{command[0]} found no versions: {done.stderr.strip()[-600:]}")
        error.detail = done.stderr
        raise error
    return done.stdout


def _minors(specifier: str) -> list[str]:
    """The Python minor versions that a specifier allows, lowest first."""
    from packaging.specifiers import SpecifierSet

    allowed = SpecifierSet(specifier)
    return [
        f"3.{minor}" for minor in range(6, 20) if any(allowed.contains(f"3.{minor}.{i}") for i in range(30))
    ]


def _path_of(text: str) -> Path:
    given = Path(text)
    if given.suffix == ASKED:
        return given
    for folder in lock_folders():
        if (folder / f"{text}{ASKED}").is_file():
            return folder / f"{text}{ASKED}"
    raise UsageError(f"no {text}{ASKED} in {', '.join(map(str, lock_folders()))}")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        print(relock(_path_of(argument)))
