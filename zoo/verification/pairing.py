"""Which output of the graph answers which output of the source."""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

from zoo.records import record

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    Arrays = Mapping[str, np.ndarray]

MAX_PERMUTED = 6
"""Most outputs that are matched by trying all orders."""


@record
class Pairing:
    """Names of the graph's outputs for the source's, how they were found, and what stayed alone."""

    names: dict[str, str]
    how: str
    """``"name"``, ``"position"`` or ``"shape"``."""
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()


def pair_outputs(expected: Arrays, actual: Arrays) -> Pairing:
    """By name where any agrees; else in order where shapes fit; else by the only order that fits.

    Swapped outputs under the right names stay swapped, so that their values tell.
    """
    shared = {name: name for name in expected if name in actual}
    if shared or not actual:
        return _pairing(shared, "name", expected, actual)
    if all(alike(e, a) for e, a in zip(expected.values(), actual.values(), strict=False)):
        return _pairing(dict(zip(expected, actual, strict=False)), "position", expected, actual)
    orders = _orders(expected, actual)
    names = orders[0] if len(orders) == 1 else dict(zip(expected, actual, strict=False))
    return _pairing(names, "shape" if len(orders) == 1 else "position", expected, actual)


def _orders(expected: Arrays, actual: Arrays) -> list[dict[str, str]]:
    if len(expected) != len(actual) or len(expected) > MAX_PERMUTED:
        return []
    candidates = (dict(zip(expected, order, strict=True)) for order in permutations(actual))
    return [names for names in candidates if all(alike(expected[e], actual[a]) for e, a in names.items())]


def alike(expected: np.ndarray, actual: np.ndarray) -> bool:
    """Whether kind (text, integer, float) and shape fit, a last axis of one left aside."""
    kinds = {"U": "text", "S": "text", "O": "text", "f": "float", "V": "float"}
    same = kinds.get(expected.dtype.kind, "integer") == kinds.get(actual.dtype.kind, "integer")
    return same and same_shape(expected.shape, actual.shape)


def same_shape(expected: tuple[int, ...], actual: tuple[int, ...]) -> bool:
    """Equal, or different only by a last axis of length one: ``(N,)`` and ``(N, 1)``."""
    return expected in (actual, (*actual, 1)) or actual == (*expected, 1)


def _pairing(names: dict[str, str], how: str, expected: Arrays, actual: Arrays) -> Pairing:
    missing = tuple(name for name in expected if name not in names)
    extra = tuple(name for name in actual if name not in names.values())
    return Pairing(names, how, missing, extra)
