"""Every place where plain values do not fit a form: not the first one only."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

import msgspec

from zoo.registry.problems import KeyPath

Mismatch = tuple[KeyPath, str]


def mismatches(value: Any, kind: Any, where: KeyPath = ()) -> Iterator[Mismatch]:
    """Key path and reason of each mismatch of `value` with the annotated type `kind`."""
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message = str(error)
    else:
        return
    inner = list(_inside(value, _without_none(kind), where))
    yield from inner or [(where, _readable(message, value))]


def _inside(value: Any, kind: Any, where: KeyPath) -> Iterator[Mismatch]:
    if isinstance(value, dict) and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield from _in_struct(value, kind, where)
    elif isinstance(value, list) and get_origin(kind) is list:
        for index, item in enumerate(value):
            yield from mismatches(item, get_args(kind)[0], (*where, index))
    elif isinstance(value, dict) and get_origin(kind) is dict:
        for key, item in value.items():
            yield from mismatches(item, get_args(kind)[1], (*where, key))


def _in_struct(value: dict[str, Any], kind: type[msgspec.Struct], where: KeyPath) -> Iterator[Mismatch]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    for key in value:
        if key not in fields:
            yield (*where, key), f"unknown key{_closest(key, list(fields))}"
    for name, field in fields.items():
        if name in value:
            yield from mismatches(value[name], field.type, (*where, name))
        elif field.required:
            yield (*where, name), "the key is missing"


def _closest(key: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(known)}"


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        kinds = [part for part in get_args(kind) if part is not type(None)]
        return kinds[0] if len(kinds) == 1 else kind
    return kind


def _readable(message: str, value: Any) -> str:
    reason = message.partition(" - at `")[0].replace("`", "")
    shown = repr(value) if not isinstance(value, (dict, list)) else ""
    return f"{reason[:1].lower()}{reason[1:]}" + (f": {shown[:80]}" if shown else "")
