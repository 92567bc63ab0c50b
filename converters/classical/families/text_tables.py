"""Which code points are what to Python: classes for RE2, and the letters that lowering or stripping changes.

Nothing is listed here: every class and map is read off the Python that runs, by asking it for each of the
1,112,064 code points that UTF-8 can say. So a graph knows the Unicode version of its source.

- ``str.lower``: one letter to one, but for ``İ`` (two code points) and ``Σ`` (``ς`` at the end of a word:
  after a cased letter and before none, whatever case-ignorable code points stand between).
- ``strip_accents_unicode``: NFKD without the code points of a combining class. Only those can be
  reordered by NFKD, so letter by letter gives the same text.
- ``strip_accents_ascii``: NFKD without whatever is not ASCII.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Iterable

from zoo.records import record

SIGMA, FINAL_SIGMA = "Σ", "ς"
Ranges = tuple[tuple[int, int], ...]


@record
class CharMap:
    """What becomes of each letter: those of `mapped` change, `dropped` ones vanish, `kept` ones stay."""

    mapped: dict[str, str]
    dropped: Ranges
    kept: Ranges

    @property
    def single(self) -> Ranges:
        """The letters of `mapped`."""
        return ranges(sorted(map(ord, self.mapped)))


@lru_cache(maxsize=None)
def every_character() -> str:
    """All code points but surrogates, in order."""
    return "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))


@lru_cache(maxsize=None)
def class_of(pattern: str) -> Ranges:
    """The code points that a Python pattern for one character matches."""
    return ranges(map(ord, re.compile(pattern, re.DOTALL).findall(every_character())))


def ranges(points: Iterable[int]) -> Ranges:
    """Ascending code points as closed ranges."""
    found: list[list[int]] = []
    for point in points:
        if found and found[-1][1] == point - 1:
            found[-1][1] = point
        else:
            found.append([point, point])
    return tuple((low, high) for low, high in found)


def points_of(spans: Ranges) -> set[int]:
    """The code points of ranges."""
    return {point for low, high in spans for point in range(low, high + 1)}


@lru_cache(maxsize=64)
def complement(spans: Ranges) -> Ranges:
    """Every other code point, but surrogates."""
    inside = points_of(spans)
    return ranges(point for point in map(ord, every_character()) if point not in inside)


@lru_cache(maxsize=64)
def without(spans: Ranges, others: Ranges) -> Ranges:
    """The code points of the first that are not in the second."""
    return ranges(sorted(points_of(spans) - points_of(others)))


@lru_cache(maxsize=64)
def both(spans: Ranges, others: Ranges) -> Ranges:
    """The code points that are in both."""
    return ranges(sorted(points_of(spans) & points_of(others)))


def re2_class(spans: Ranges) -> str:
    """A class for RE2, by numbers: its own Unicode tables are of another version."""
    return "[" + "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in spans) + "]"


@lru_cache(maxsize=None)
def char_map(lower: bool, accents: str | None) -> CharMap:
    """What ``lower()`` and then strip_accents (``"unicode"``, ``"ascii"`` or None) make of each letter."""
    mapped, dropped, kept = {}, [], []
    for character in every_character():
        changed = _stripped(character.lower() if lower else character, accents)
        if changed == character:
            kept.append(ord(character))
        elif changed:
            mapped[character] = changed
        else:
            dropped.append(ord(character))
    return CharMap(mapped, ranges(dropped), ranges(kept))


@lru_cache(maxsize=None)
def cased() -> Ranges:
    """Code points that make a following ``Σ`` final: cased and not case-ignorable."""
    return ranges(ord(c) for c in every_character() if (c + SIGMA).lower().endswith(FINAL_SIGMA))


@lru_cache(maxsize=None)
def ignorable() -> Ranges:
    """Code points that ``lower()`` looks through for the letter before or after a ``Σ``."""
    through = ranges(ord(c) for c in every_character() if ("A" + c + SIGMA).lower().endswith(FINAL_SIGMA))
    return without(through, cased())


def _stripped(text: str, accents: str | None) -> str:
    import unicodedata

    if accents is None or text.isascii():
        return text
    apart = unicodedata.normalize("NFKD", text)
    if accents == "ascii":
        return "".join(c for c in apart if c.isascii())
    return "".join(c for c in apart if not unicodedata.combining(c))


def python_parser() -> Any:
    """Python's parser of regular expressions, under the name that this version has for it."""
    from importlib import import_module

    try:
        return import_module("re._parser")
    except ModuleNotFoundError:
        return import_module("sre_parse")
