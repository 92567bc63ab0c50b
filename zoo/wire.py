"""Records as JSON, for files that outlive a process or cross into another one.

The worker may run in an environment that has nothing but the standard library and numpy, so this
does not use a schema library.
"""

from __future__ import annotations

import dataclasses
import json
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def dumps(record: Any) -> str:
    """A record as readable JSON."""
    return json.dumps(to_json(record), indent=2, ensure_ascii=False)


def loads(kind: type[T], text: str | bytes) -> T:
    """A record of `kind` from JSON; raises TypeError or ValueError when it does not fit."""
    return cast(T, from_json(kind, json.loads(text)))


def to_json(value: Any) -> Any:
    """Records become objects, tuples lists, paths strings."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_json(kind: Any, value: Any) -> Any:
    """The inverse of `to_json` for the annotated type `kind`; unknown keys are ignored."""
    origin = get_origin(kind)
    if origin is Union:
        return _from_union(get_args(kind), value)
    if origin is tuple:
        return tuple(from_json(get_args(kind)[0], item) for item in value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        hints = _hints(cast(Any, kind))
        known = {name: from_json(hint, value[name]) for name, hint in hints.items() if name in value}
        return kind(**known)
    return Path(value) if kind is Path else value


def _from_union(kinds: tuple[Any, ...], value: Any) -> Any:
    structured = [
        kind for kind in kinds if dataclasses.is_dataclass(kind) or get_origin(kind) is tuple or kind is Path
    ]
    return from_json(structured[0], value) if structured and value is not None else value


@lru_cache(maxsize=None)
def _hints(kind: type[Any]) -> dict[str, Any]:
    names = {f.name for f in dataclasses.fields(kind)}
    return {name: hint for name, hint in get_type_hints(kind).items() if name in names}
