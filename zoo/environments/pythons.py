"""Find an installed Python of a wanted version: this one, on ``PATH``, of pyenv, of uv."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import MissingPythonError
from zoo.records import record

_MINORS = range(15, 5, -1)
_PROBE = """
import json, sys
try:
    import venv
    try:
        from importlib.metadata import version
        pip = [int(part) for part in version("pip").split(".")[:2]] >= [22, 3]
    except Exception:
        pip = False
    import ensurepip
    makes = True
except ImportError:
    makes = "venv" in sys.modules and pip
print(json.dumps({"version": "%d.%d.%d" % sys.version_info[:3], "pip": pip, "makes": makes}))
"""


@record
class Interpreter:
    """A Python: its program and version, whether its own pip can install into another Python (22.3), and
    whether it can make an environment without uv."""

    program: Path
    version: str
    pip: bool
    makes: bool


def find_python(specifier: str, has_uv: bool = False) -> Interpreter:
    """The first Python that `specifier` (such as ``">=3.9,<3.12"``) allows, this one before all others.

    Raises `MissingPythonError`, which says how to get one.
    """
    from packaging.specifiers import SpecifierSet

    allowed = SpecifierSet(specifier)
    helpless = []
    for program in _candidates(specifier):
        found = probed(program)
        if found is None or not allowed.contains(found.version):
            continue
        if found.makes or has_uv:
            return found
        helpless.append(found)
    raise _missing(specifier, helpless)


def _candidates(specifier: str) -> Iterator[Path]:
    minors = [f"3.{minor}" for minor in _MINORS if _may_be(specifier, minor)]
    yield Path(sys.executable)
    for minor in minors:
        yield from _on_path(f"python{minor}")
    for minor in minors:
        yield from _of_pyenv(minor)
    for minor in minors:
        yield from _of_uv(minor)


def _may_be(specifier: str, minor: int) -> bool:
    from packaging.specifiers import SpecifierSet

    allowed = SpecifierSet(specifier)
    return any(allowed.contains(f"3.{minor}.{micro}") for micro in range(30))


def _on_path(name: str) -> Iterator[Path]:
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        program = Path(folder, name)
        # A shim of pyenv starts whatever pyenv was told to, or nothing; the versions come below.
        if folder and os.access(program, os.X_OK) and program.parent.name != "shims":
            yield program


def _of_pyenv(minor: str) -> Iterator[Path]:
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    folders = [path for path in root.glob(f"{minor}.*") if path.name.rpartition(".")[2].isdigit()]
    for folder in sorted(folders, key=lambda path: int(path.name.rpartition(".")[2]), reverse=True):
        program = folder / "bin" / f"python{minor}"
        if program.exists():
            yield program


def _of_uv(minor: str) -> Iterator[Path]:
    uv = shutil.which("uv")
    if uv is None:
        return
    command = [uv, "python", "find", "--no-project", "--no-python-downloads", "--system", minor]
    found = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if found.returncode == 0 and found.stdout.strip():
        yield Path(found.stdout.strip())


def probed(program: Path) -> Interpreter | None:
    """What a program says that it is; None where it is no Python that starts."""
    try:
        said = subprocess.run(
            [str(program), "-I", "-c", _PROBE],
            capture_output=True,
            check=False,
            timeout=30,
            stdin=subprocess.DEVNULL,
        )
        facts = json.loads(said.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return Interpreter(program, **facts)


def _missing(specifier: str, helpless: list[Interpreter]) -> MissingPythonError:
    wanted = next(f"3.{minor}" for minor in (*_MINORS, 11) if _may_be(specifier, minor))
    ways = f"`pyenv install {wanted}`, `uv python install {wanted}`, or your system's package python{wanted}"
    if helpless:
        program = helpless[0].program
        return MissingPythonError(
            f"{program} cannot make environments: its ensurepip or venv is missing",
            hint=f"Debian and Ubuntu: apt install python{wanted}-venv; or {ways}; or install uv.",
        )
    return MissingPythonError(
        f"no Python {specifier} was found: this one is {sys.version.split()[0]}, and there is none on PATH, "
        "of pyenv or of uv",
        hint=f"{ways} brings it.",
    )
