"""What is wrong with a registry file, and where."""

from __future__ import annotations

from zoo.records import record

KeyPath = tuple[str | int, ...]
"""The keys and indexes from the root of the file to a value."""


@record
class Problem:
    """One problem: file, line (from 1), key path, and what is wrong with the value there.

    An ``"error"`` makes `zoo.registry.load` refuse the file; a ``"warning"`` is found by
    `zoo.registry.lint` only.
    """

    path: str
    line: int
    key: str
    message: str
    level: str = "error"

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}: "
        return place + (f"{self.key}: {self.message}" if self.key else self.message)


def key_text(where: KeyPath) -> str:
    """A key path as people write it: ``models.resnet50.files[0].sha256``."""
    text = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in where)
    return text.removeprefix(".")
