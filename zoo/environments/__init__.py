"""Isolated environments: a Python of its own for each source framework, built once from a lock file.

A converter's package holds ``locks/<name>.toml`` (what is asked for) and ``locks/<name>.txt`` (every package
with its version and hashes). See docs/environments.md.
"""

from __future__ import annotations

from zoo.environments.building import build
from zoo.environments.choosing import Wish, choose
from zoo.environments.locks import Lock, find_lock, known_locks, need_lock
from zoo.environments.matching import locks_for
from zoo.environments.stored import Environment, ready

__all__ = [
    "Environment",
    "Lock",
    "Wish",
    "build",
    "choose",
    "find_lock",
    "known_locks",
    "locks_for",
    "need_lock",
    "ready",
]
