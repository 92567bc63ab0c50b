"""Canaries: a secret, a folder, a port and a process name that only an escape can touch.

The payload does harmless things that an attacker would begin with. A control run at the level
"rlimits" shows that it does them all where nothing stops it.
"""

from __future__ import annotations

import secrets
import socket
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from zoo import sandbox


@dataclass(frozen=True)
class Canaries:
    """What must stay untouched: see `Canaries.harmed`."""

    outside: Path
    secret: str
    server: socket.socket
    marker: str

    @property
    def payload(self) -> str:
        """Python source, in one line, that tries all at once and goes on after each failure."""
        acts = (
            f"open({str(self.outside / 'written')!r}, 'w').close()",
            f"print(open({str(self.outside / 'secret')!r}).read())",
            f"open('stolen', 'w').write(open({str(self.outside / 'secret')!r}).read())",
            f"__import__('socket').create_connection(('127.0.0.1', {self.server.getsockname()[1]}), 1)",
            f"__import__('subprocess').Popen(['/bin/sh', '-c', 'sleep 30; : {self.marker}'])",
            "print(open('/proc/%d/environ' % __import__('os').getppid()).read())",
        )
        lines = "".join(f"try:\n {act}\nexcept BaseException: pass\n" for act in acts)
        return f"exec({lines + 'print(*[chr(c) for c in (82, 65, 78)])'!r})"

    def harmed(self, done: sandbox.Completed, folder: Path) -> set[str]:
        """The canaries that were touched."""
        found = set()
        if sorted(path.name for path in self.outside.iterdir()) != ["secret"]:
            found.add("written")
        if self.secret in done.stdout + done.stderr or any(self.secret in text for text in texts(folder)):
            found.add("secret")
        if connected(self.server):
            found.add("network")
        if any(self.marker in line for line in commands()):
            found.add("process")
        return found


@contextmanager
def canaries(folder: Path) -> Iterator[Canaries]:
    outside = folder / "outside"
    outside.mkdir()
    secret = secrets.token_hex(16)
    (outside / "secret").write_text(secret)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        yield Canaries(outside, secret, server, f"marker{secrets.token_hex(8)}")


def load_jailed(
    code: str, folder: Path, level: str, readable: tuple[Path, ...], **limits
) -> sandbox.Completed:
    """Run loading code in a jail whose folder is ``job``."""
    job = folder / "job"
    job.mkdir(exist_ok=True)
    bounds = sandbox.Limits(**{"seconds": 120.0, "memory": 3 << 30, "level": level, **limits})
    return sandbox.run([sys.executable, "-c", textwrap.dedent(code)], job, bounds, readable)


def texts(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < 1 << 20:
            yield path.read_bytes().decode("latin-1")


def connected(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except TimeoutError:
        return False
    return True


def commands() -> Iterator[str]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                yield (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("latin-1")
            except (FileNotFoundError, ProcessLookupError):
                continue
