"""Make a virtual environment and install a lock into it: with uv where it is on ``PATH``, else venv and pip.

Every file is checked against the hashes of the lock, and no dependency is resolved: what is not in the
lock is not installed. pip's configuration (index, certificate, wheel folders) is in effect for both.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

from zoo.environments.locks import Lock, Pin
from zoo.environments.pythons import Interpreter
from zoo.errors import (
    DigestMismatchError,
    DiskFullError,
    EnvironmentBuildError,
    FetchError,
    ZooError,
)
from zoo.jail.commands import launched
from zoo.records import record

Say = Callable[[str], None]

# What would make pip or Python do something else than install into this environment.
_PYTHON = "PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONWARNINGS VIRTUAL_ENV"
_PIP = "USER TARGET PREFIX ROOT REQUIREMENT REQUIRE_VIRTUALENV NO_BINARY ONLY_BINARY CONSTRAINT"
_NOT_PASSED_ON = frozenset([*_PYTHON.split(), *(f"PIP_{name}" for name in _PIP.split()), "UV_CONSTRAINT"])
_LINES_KEPT = 400
_TOLD = re.compile(r"\s*(?:Collecting|Building|Installing collected packages|Prepared|Installed) ")
"""Lines of pip and uv that say how far they are."""


@record
class Installer:
    """Installs into `folder` for `base`: with the program `uv`, with pip where it is None. `say` is told each
    step."""

    lock: Lock
    folder: Path
    base: Interpreter
    uv: str | None
    say: Say

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def make(self) -> None:
        """Create the empty virtual environment."""
        self.say(f"creating it with Python {self.base.version} ({self.base.program})")
        program = str(self.base.program)
        # A pip of its own takes three seconds to install, and nobody needs it afterwards.
        bare = ["--without-pip"] if self.base.pip else []
        plain = [program, "-I", "-m", "venv", *bare, str(self.folder)]
        quick = [str(self.uv), "venv", "--quiet", "--no-project", "--python", program, str(self.folder)]
        self._run(quick if self.uv else plain)

    def install(self) -> None:
        """Install what builds need, then all the rest."""
        first = {_plain(need) for need in self.lock.build_requirements}
        early = [pin for pin in self.lock.pins if pin.name in first]
        if early:
            self._install(early)
        self._install([pin for pin in self.lock.pins if pin.name not in first])

    def check(self) -> None:
        """Start the new Python with what every worker imports; raises `EnvironmentBuildError`."""
        self.say("checking that it starts")
        self._run([str(self.python), "-I", "-c", "import numpy, onnx"])

    def _install(self, pins: list[Pin]) -> None:
        self.say(f"installing {len(pins)} packages")
        listed = self.folder / "lock.txt"
        listed.write_text("".join(f"{pin.lines}\n" for pin in pins), encoding="utf-8")
        try:
            self._run(self._command(listed))
        except (FetchError, DigestMismatchError) as error:
            if not self.lock.indexes:
                raise
            self.say(f"looking at {', '.join(self.lock.indexes)}, too ({error.message})")
            self._run([*self._command(listed), *_extra_indexes(self.lock.indexes)])

    def _command(self, listed: Path) -> list[str]:
        names = self.lock.no_build_isolation
        sources = [word for name in names for word in ("--no-binary", name)]
        flags = ["--require-hashes", "--no-deps", "--only-binary", ":all:", *sources]
        if names:
            flags += ["--no-build-isolation"]
        if self.uv is None:
            pip = [str(self.python), "-I", "-m", "pip"]
            if self.base.pip:
                pip = [str(self.base.program), "-I", "-m", "pip", "--python", str(self.python)]
            return [*pip, "install", "--no-input", *flags, "-r", str(listed)]
        install = [self.uv, "pip", "install", "--no-config", "--compile-bytecode"]
        return [*install, "--python", str(self.python), *_as_pip_is_configured(), *flags, "-r", str(listed)]

    def _run(self, command: list[str]) -> None:
        said: deque[str] = deque(maxlen=_LINES_KEPT)
        # The installer dies with this process: nobody would finish what it left.
        argv = launched([f"die_with {os.getpid()}"], command)
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env=self._environment(), text=True, errors="replace",
        ) as process:  # fmt: skip
            try:
                for line in process.stdout or ():
                    said.append(line.rstrip())
                    self._tell(line)
            except BaseException:
                process.kill()
                raise
        if process.returncode != 0:
            raise failure(self.lock, [line for line in said if line], process.returncode)

    def _tell(self, line: str) -> None:
        if _TOLD.match(line):
            self.say(line.strip().partition(" (from")[0][:100])

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_PASSED_ON}
        # The lock decides: what else constrains versions could only contradict it.
        own = {"PIP_CONSTRAINT": os.devnull, "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        return {**kept, **own, "UV_NO_PROGRESS": "1", **self.lock.variables}


def _plain(need: str) -> str:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    return canonicalize_name(Requirement(need).name)


def _extra_indexes(urls: tuple[str, ...]) -> Iterator[str]:
    for url in urls:
        yield from ("--extra-index-url", url)


def _as_pip_is_configured() -> Iterator[str]:
    """Options of uv, which does not read pip's configuration, for what pip would do."""
    from zoo.fetchers.pip_index import pip_config

    config = pip_config()
    if not config.indexes:
        yield "--no-index"
    for number, url in enumerate(config.indexes):
        yield from ("--index-url" if number == 0 else "--extra-index-url", url)
    for place in config.find_links:
        yield from ("--find-links", place)
    for host in config.trusted_hosts:
        yield from ("--allow-insecure-host", host)
    # Whichever index has it: the hashes decide.
    yield from ("--index-strategy", "unsafe-best-match")


# --- why it failed ------------------------------------------------------------------------------------

_CAUSES = (
    ("full", r"No space left on device|Disk quota exceeded|os error 28\b"),
    ("hash", r"DO NOT MATCH THE HASHES|[Hh]ash mismatch|No hash"),
    (
        "network",
        r"Failed to establish a new connection|Temporary failure in name resolution|Connection refused|"
        r"Name or service not known|Network is unreachable|ConnectTimeout|Read timed out|ProxyError|"
        r"Connection (?:aborted|broken)|error sending request|dns error|tcp connect error|[Ff]ailed to fetch",
    ),
    ("absent", r"No matching distribution found|No solution found|was not found in the package registry"),
)


def failure(lock: Lock, said: list[str], code: int) -> ZooError:
    """The error for what an installer said before it ended with `code`."""
    text = "\n".join(said)
    cause = next((name for name, pattern in _CAUSES if re.search(pattern, text)), "other")
    error = _FAILURES[cause](lock, said, code)
    error.detail = text
    return error


def _full(lock: Lock, said: list[str], code: int) -> ZooError:
    return DiskFullError(
        f"no room to build the environment {lock.name!r}: {_telling(said, 'space|quota')}",
        hint="Free space (`zoo env remove --unused`, `zoo cache prune`), or set ZOO_CACHE to another disk.",
    )


def _wrong_hash(lock: Lock, said: list[str], code: int) -> ZooError:
    return DigestMismatchError(
        f"the environment {lock.name!r} was not built: the package index gave a file that its lock does not "
        f"allow: {_telling(said, 'hash|HASH|from http|from file')}",
        hint="Ask for the file of the lock from another index (PIP_INDEX_URL); do not install it by hand.",
    )


def _no_network(lock: Lock, said: list[str], code: int) -> ZooError:
    return FetchError(
        f"the environment {lock.name!r} ({len(lock.pins)} packages) needs the package index, which was not "
        f"reached: {_telling(said, 'connection|resolution|known|refused|unreachable|time|roxy|error')}",
        hint=_other_ways(lock),
    )


def _absent(lock: Lock, said: list[str], code: int) -> ZooError:
    return FetchError(
        f"the package index has not all that the environment {lock.name!r} needs: "
        f"{_telling(said, 'No matching|No solution|not found')}",
        hint=_other_ways(lock),
    )


def _other(lock: Lock, said: list[str], code: int) -> ZooError:
    return EnvironmentBuildError(
        f"the environment {lock.name!r} could not be built: {_telling(said, 'rror')} (exit code {code})",
        hint="`-v` shows what the installer said.",
    )


_FAILURES: dict[str, Callable[[Lock, list[str], int], ZooError]] = {
    "full": _full,
    "hash": _wrong_hash,
    "network": _no_network,
    "absent": _absent,
    "other": _other,
}


def _other_ways(lock: Lock) -> str:
    install = f", or pip install 'onnx-zoo-pipeline[{lock.extra}]' here" if lock.extra else ""
    return (
        f"`zoo env build {lock.name}` with a network builds it once for all; PIP_INDEX_URL names another "
        f"index, PIP_FIND_LINKS a folder of wheels{install}."
    )


def _telling(said: list[str], pattern: str) -> str:
    """The last line that tells why, shortened."""
    lines = [line for line in said if re.search(pattern, line, re.IGNORECASE)] or said or ["no message"]
    return " ".join(lines[-1].split())[:240]
