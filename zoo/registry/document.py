"""Read YAML into plain values, with the line of each, and nothing that YAML can be made to do.

The values are built from the parser's events, so no constructor of PyYAML ever runs. Refused are
aliases and anchors (a few hundred bytes of them expand to gigabytes), tags, merge keys, duplicate
keys, several documents, deep nesting and large files. A plain scalar is null, a boolean, a number
or text by the core schema of YAML 1.2: ``no``, ``1_000`` and ``12:30`` stay text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.errors import RegistryError
from zoo.records import record
from zoo.registry.problems import KeyPath, Problem, key_text

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 24

_CONSTANTS = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@record
class Document:
    """The values of a YAML file, the line of each key path, and what was refused on the way."""

    path: str
    value: Any
    lines: dict[KeyPath, int]
    problems: tuple[Problem, ...] = ()

    def problem(self, where: KeyPath, message: str, level: str = "error") -> Problem:
        """A problem at a key path; a key that is not in the file has the line of its parent."""
        known = where
        while known and known not in self.lines:
            known = known[:-1]
        return Problem(self.path, self.lines.get(known, 1), key_text(where), message, level)


def read_document(path: Path) -> Document:
    """Read a YAML file; raises `RegistryError` when the file itself cannot be read."""
    try:
        size = path.stat().st_size
        content = path.read_bytes() if size <= MAX_BYTES else b""
    except OSError as error:
        reason = error.strerror or str(error)
        raise RegistryError(
            f"cannot read the registry {str(path)!r}: {reason}",
            hint="--registry PATH and ZOO_REGISTRY name another file.",
        ) from error
    if size > MAX_BYTES:
        message = f"the file has {size} bytes; a registry may have {MAX_BYTES}"
        return Document(str(path), None, {}, (Problem(str(path), 1, "", message),))
    return parse_document(content, str(path))


def parse_document(content: bytes, path: str) -> Document:
    """The document in `content`; what is refused is listed in its `problems`."""
    import yaml

    reader = _Reader(path)
    try:
        value = reader.read(content)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        reader.refuse((), f"not YAML: {what}", mark.line if mark else 0)
        value = None
    except yaml.YAMLError as error:  # undecodable bytes and forbidden characters have no mark
        reader.refuse((), f"not YAML: {error}", 0)
        value = None
    return Document(path, value, reader.lines, tuple(reader.problems))


class _Reader:
    """Builds values from parser events and notes the line of every key path."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._events: Iterator[Any] = iter(())

    def refuse(self, where: KeyPath, message: str, line: int) -> None:
        self.problems.append(Problem(self.path, line + 1, key_text(where), message))

    def read(self, content: bytes) -> Any:
        import yaml

        # libyaml is about ten times faster; PyYAML's own parser gives the same events without it.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events = iter(yaml.parse(content, Loader=loader))
        value = None
        for count, event in enumerate(e for e in self._events if isinstance(e, yaml.DocumentStartEvent)):
            if count:
                self.refuse((), "a second document starts here; a registry has one", _line(event))
                break
            value = self._value(next(self._events), ())
        return value

    def _value(self, event: Any, where: KeyPath) -> Any:
        import yaml

        self.lines.setdefault(where, event.start_mark.line + 1)
        self._refuse_magic(event, where)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(where, event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(where, event)
        return None

    def _refuse_magic(self, event: Any, where: KeyPath) -> None:
        import yaml

        line = event.start_mark.line
        if isinstance(event, yaml.AliasEvent):
            self.refuse(where, f"the alias *{event.anchor} is refused: write the value out", line)
        elif event.anchor is not None:
            self.refuse(where, f"the anchor &{event.anchor} is refused: registries have no aliases", line)
        if getattr(event, "tag", None) not in (None, "!"):
            self.refuse(where, f"the tag {event.tag!r} is refused: values are plain", line)

    def _mapping(self, where: KeyPath, start: Any) -> dict[str, Any]:
        self._check_depth(where, start)
        values: dict[str, Any] = {}
        while (key := self._key(next(self._events), where)) is not None:
            name, line = key
            inner = (*where, name)
            if name in values:
                message = f"the key appears twice; the first is in line {self.lines[inner]}"
                self.refuse(inner, message, line)
            self.lines.setdefault(inner, line + 1)
            values[name] = self._value(next(self._events), inner)
        return values

    def _key(self, event: Any, where: KeyPath) -> tuple[str, int] | None:
        import yaml

        if isinstance(event, yaml.MappingEndEvent):
            return None
        line = event.start_mark.line
        if not isinstance(event, yaml.ScalarEvent):
            self._value(event, (*where, "?"))
            self.refuse(where, "a key must be plain text", line)
            return "?", line
        self._refuse_magic(event, (*where, event.value))
        if event.value == "<<":
            self.refuse(where, "the merge key << is refused: write the values out", line)
        return event.value, line

    def _sequence(self, where: KeyPath, start: Any) -> list[Any]:
        import yaml

        self._check_depth(where, start)
        values: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event, (*where, len(values))))
        return values

    def _check_depth(self, where: KeyPath, event: Any) -> None:
        import yaml

        if len(where) > MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"nested deeper than {MAX_DEPTH} levels", problem_mark=event.start_mark
            )


def _scalar(event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0]:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def _line(event: Any) -> int:
    line: int = event.start_mark.line
    return line
