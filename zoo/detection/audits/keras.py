"""Keras configurations: every class must be one of Keras that only computes.

`safe_mode` was bypassed five times (CVE-2024-3660, 2025-1550, 2025-8747, 2025-9905, 2026-1462), each
time by naming something that it did not think of. So this is an allow-list again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from zoo.detection.source import BrokenFileError, parse_json

MAX_DEPTH = 200
_MODULES = re.compile(
    r"(tf_)?keras(\.src|\.engine|\.saving)?(\.(layers|models|initializers|regularizers|constraints|optimizers|losses"
    r"|metrics|dtype_policies|quantizers|activations|ops|backend|engine|utils\.generic_utils)"
    r"(?!.*(lambda|torch|jax|tfsm)_layer)[\w.]*)?|builtins"
)
_OPERATION = re.compile(r"keras\.src\.ops\.(numpy|nn|core|math|image|linalg|operation)")
_TF_FUNCTION = re.compile(
    r"(tf\.)?(math|nn|linalg|image|__operators__|signal|strings\.(lower|upper|strip)|keras\.(activations|backend))\.\w+(\.\w+)*"
    r"|(tf\.)?(concat|reshape|transpose|stack|unstack|split|squeeze|expand_dims|cast|identity|tile|gather|pad|where"
    r"|reduce_\w+|zeros_like|ones_like|shape|slice|strided_slice|convert_to_tensor|clip_by_value|one_hot|range|maximum|minimum)"
)


def audit_keras(config: str, what: str) -> list[str]:
    """Reasons against a configuration, given as JSON text."""
    try:
        value = parse_json(config)
    except BrokenFileError as error:
        return [f"{what} does not parse: {error}"]
    reasons: list[str] = []
    for found in _objects(value, 0):
        reasons += [f"{what}: {reason}" for reason in ("nested too deeply",) * (found is None)]
        reasons += [f"{what}: {reason}" for reason in _object(found or {})]
    return reasons[:50]


def _objects(value: Any, depth: int) -> Iterator[dict[str, Any] | None]:
    if depth > MAX_DEPTH:
        yield None
    elif isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner, depth + 1)


def _object(value: dict[str, Any]) -> list[str]:
    reasons = []
    name, module = value.get("class_name"), value.get("module")
    if isinstance(name, str):
        reasons += _class(name, module, value)
    elif module is not None and "registered_name" in value:
        reasons.append(f"an object of module {module!r} without a class")
    vocabulary = value.get("vocabulary")
    if isinstance(vocabulary, str):
        reasons.append(f"a vocabulary to be read from the file {vocabulary!r}")
    if isinstance(function := value.get("function"), str) and not _TF_FUNCTION.fullmatch(function):
        reasons.append(f"the function {function!r}")
    return reasons


def _class(name: str, module: Any, value: dict[str, Any]) -> list[str]:
    registered = value.get("registered_name")
    plain = name.rpartition(">")[2]
    if isinstance(module, str) and _OPERATION.fullmatch(module) and re.fullmatch(r"[A-Z]\w*", name):
        return []
    if plain not in _classes() or name.startswith("Custom>"):
        return [f"the class {f'{module}.' if module else ''}{name}"]
    if module is not None and not (isinstance(module, str) and _MODULES.fullmatch(module)):
        return [f"the class {name} of the module {module!r}"]
    if module == "builtins" and not name.startswith("__"):
        return [f"the builtin {name}"]
    if isinstance(registered, str) and registered.rpartition(">")[2] != plain and registered != name:
        return [f"the class {name} registered as {registered!r}"]
    return []


@lru_cache(maxsize=1)
def _classes() -> frozenset[str]:
    lines = Path(__file__).with_name("keras_classes.txt").read_text().splitlines()
    return frozenset(word for line in lines if not line.startswith("#") for word in line.split())
