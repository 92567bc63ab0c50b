"""What models exist, where their bytes are, and how to prove them: `registry.yaml` and its readers.

>>> entry = load().find("magika")
>>> entry.kind
'zoo'
"""

from __future__ import annotations

from pathlib import Path

from zoo.registry.catalogue import Registry, load, registry_path
from zoo.registry.problems import Problem
from zoo.registry.sources import entry_from_source, is_source, refuse_unknown_scheme

__all__ = [
    "Problem",
    "Registry",
    "entry_from_source",
    "is_source",
    "lint",
    "load",
    "refuse_unknown_scheme",
    "registry_path",
]


def lint(path: Path | str | None = None) -> list[Problem]:
    """Every problem of a registry file, errors and warnings, in the order of its lines.

    Raises `RegistryError` only when the file itself cannot be read.
    """
    # The YAML reader and the schema library cost more than a warm pull may.
    from zoo.registry.reading import lint as lint_file

    return lint_file(registry_path(path))
