"""Running a snippet in each jail that works on this machine."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

from zoo import sandbox
from zoo.jail import levels

WORKING = tuple(
    name
    for name, works in (
        (levels.BWRAP, levels.bwrap() is not None),
        (levels.LANDLOCK, levels.landlock_abi() >= 1),
    )
    if works
)
"""The levels that isolate; each test of isolation runs in all of them that work here."""

isolating = pytest.mark.parametrize("jail", list(WORKING))
all_levels = pytest.mark.parametrize("jail", [*WORKING, levels.RLIMITS])


def run_python(
    code: str, folder: Path, jail: str, readable: tuple[Path, ...] = (), **limits
) -> sandbox.Completed:
    """Run Python code in the jail, with a minute and a gigabyte unless told otherwise."""
    bounds = sandbox.Limits(**{"seconds": 60.0, "memory": 1 << 30, "level": jail, **limits})
    return sandbox.run([sys.executable, "-c", textwrap.dedent(code)], folder, bounds, readable)
