"""The command lines that lock a command up, for each level."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from zoo.errors import UsageError
from zoo.jail import levels, seccomp
from zoo.jail.places import DEVICES, Places

_LAUNCH = Path(__file__).with_name("launch.py")
_ANY_LANDLOCK = 99


def launched(lines: list[str], argv: list[str]) -> list[str]:
    """`argv` behind the launcher, which does what `lines` say first."""
    for line in lines:
        if "\n" in line:
            raise UsageError(f"a path with a line break cannot be given to the sandbox: {line!r}")
    return [sys.executable, "-I", "-S", str(_LAUNCH), "\n".join(lines), *argv]


def first_lines(limits: dict[str, int], parent: int | None = None) -> list[str]:
    """What every level begins with: die with its parent (by default this process), and the limits."""
    return [f"die_with {parent or os.getpid()}", *(f"limit {name} {value}" for name, value in limits.items())]


def landlock_lines(folder: Path, places: Places, forks: bool, loopback: bool = False) -> list[str]:
    """landlock, then seccomp; paths of `places` that do not exist are passed over."""
    abi = levels.landlock_abi()
    lines = ["loopback"] if loopback else []
    lines += ["powerless", f"landlock {abi} own-network" if loopback else f"landlock {abi}"]
    lines += [f"list {path}" for path in places.listed]
    lines += [f"read {path}" for path in (*places.readable, "/proc/self")]
    lines += [f"execute {path}" for path in places.executable]
    lines += [f"device {path}" for path in DEVICES]
    return [*lines, f"write {folder}", "restrict", f"seccomp {seccomp.program(abi, forks, loopback).hex()}"]


def bwrap_command(bwrap: Path, folder: Path, places: Places, filter_descriptor: int) -> list[str]:
    """bubblewrap with all namespaces, no capabilities, another user, and the same seccomp program."""
    command = [
        str(bwrap),
        "--unshare-all",
        "--unshare-user",
        "--uid",
        "65534",
        "--gid",
        "65534",
        "--cap-drop",
        "ALL",
    ]
    command += ["--die-with-parent", "--new-session", "--hostname", "jail"]
    command += ["--dir", "/tmp", "--proc", "/proc", "--dev", "/dev"]
    for path in sorted(places.readable, key=lambda path: len(path.parts)):
        if not path.is_relative_to("/proc"):
            command += ["--ro-bind", str(path), str(path)]
    for link in (Path("/lib"), Path("/lib64"), Path("/lib32")):
        if link.is_symlink():
            command += ["--symlink", str(link.readlink()), str(link)]
    # Its root and /dev are in memory: read-only, or they could be filled unseen.
    command += ["--bind", str(folder), str(folder), "--remount-ro", "/dev", "--remount-ro", "/"]
    command += ["--chdir", str(folder)]
    return [*command, "--seccomp", str(filter_descriptor), "--"]


def filter_for_namespaces(forks: bool, loopback: bool = False) -> bytes:
    """The program for bubblewrap, whose namespaces keep signals and paths inside already."""
    return seccomp.program(_ANY_LANDLOCK, forks, loopback)
