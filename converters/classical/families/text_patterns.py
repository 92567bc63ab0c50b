"""Python's token patterns as RE2's, where both find the same tokens in every text.

Python tries alternatives in order (the first that matches wins), ONNX Runtime's Tokenizer takes the longest
match; RE2's ``\\w``, ``\\s`` and ``\\b`` know ASCII only. So:

- every class is written out in code points, asked of Python itself (its flags included);
- ``\\b…\\b`` around letters of ``\\w`` finds whole runs of ``\\w``: the runs are cut out, and those that do
  not match from end to end are dropped;
- else the pattern is greedy, and its ways to go on are followed in the order in which Python prefers them
  (Glushkov's automaton with ordered followers): where it may end, no later way goes on. So Python's first
  match is the longest.
- whatever else (look-around, lazy repeats, back references, a group that is a part of the token) is refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Optional, Sequence

from converters.classical.families.text_tables import (
    Ranges,
    class_of,
    points_of,
    python_parser,
    re2_class,
)
from zoo.records import record

MOST_COPIES = 64
"""Repeats like ``{2,20}`` are written out that often."""
MOST_STATES = 2000
"""Sets of ways to go on that are looked at in one pattern."""


@record
class Tokens:
    """How tokens are found: RE2's `regex`; `only` those that `only` matches from end to end."""

    regex: str
    only: Optional[str] = None
    spaces: bool = False
    """Whether a token may hold a blank."""


class UnequalPatternError(Exception):
    """A pattern that RE2 may read otherwise; the message says why."""


def white_space() -> Ranges:
    """What ``str.split`` and ``\\s`` take for white space."""
    return class_of(r"\s")


@lru_cache(maxsize=64)
def tokens_of(pattern: str) -> Tokens:
    """Raises `UnequalPatternError` where RE2 could find other tokens."""
    flags = re.compile(pattern).flags
    sequence = _opened(list(python_parser().parse(pattern)))
    words = class_of(r"\w")
    bounded, body = _unbound(sequence)
    if bounded:
        return _runs(_opened(body), words, flags)
    alternatives = _alternatives(body)
    inner = [_inner(branch, words, flags) for branch in alternatives]
    tree = _tree_of([("branch", inner)] if len(inner) > 1 else inner[0], flags)
    _demand_longest_first(tree)
    return Tokens(_regex(tree), spaces=_holds_blank(tree))


def _runs(body: list[Any], words: Ranges, flags: int) -> Tokens:
    tree = _tree_of(body, flags)
    inside = points_of(words)
    outside = [spans for spans in _classes(tree) if not points_of(spans) <= inside]
    if outside:
        raise UnequalPatternError("\\b beside characters that are not of \\w")
    if _nullable(tree):
        raise UnequalPatternError("it matches empty tokens")
    least = _plain_run(tree, words)
    if least is not None:
        return Tokens(f"{re2_class(words)}{{{least},}}")
    return Tokens(re2_class(words) + "+", _regex(tree))


# --- Python's parse tree, reduced to ("class", ranges), ("seq", […]), ("branch", […]) and
# ("repeat", low, high, node)


def _opened(sequence: list[Any]) -> list[Any]:
    """Without a group around all of it."""
    while len(sequence) == 1 and str(sequence[0][0]) == "SUBPATTERN":
        _, added, removed, inner = sequence[0][1]
        if added or removed:
            raise UnequalPatternError("flags inside the pattern")
        sequence = list(inner)
    return sequence


def _unbound(sequence: list[Any]) -> tuple[bool, list[Any]]:
    if len(sequence) > 2 and _is_boundary(sequence[0]) and _is_boundary(sequence[-1]):
        return True, sequence[1:-1]
    return False, sequence


def _is_boundary(item: Any) -> bool:
    return str(item[0]) == "AT" and str(item[1]) == "AT_BOUNDARY"


def _alternatives(sequence: list[Any]) -> list[list[Any]]:
    if len(sequence) == 1 and str(sequence[0][0]) == "BRANCH":
        return [list(branch) for branch in sequence[0][1][1]]
    return [sequence]


def _inner(branch: list[Any], words: Ranges, flags: int) -> list[Any]:
    """A branch without ``\\b`` around ``\\w{n,}``: a run of letters is taken whole anyway."""
    bounded, body = _unbound(branch)
    if bounded and _plain_run(_tree_of(_opened(body), flags), words) is None:
        raise UnequalPatternError("\\b inside the pattern")
    return body


def _tree_of(sequence: Sequence[Any], flags: int) -> Any:
    return ("seq", [_node(item, flags) for item in sequence])


def _node(item: Any, flags: int) -> Any:
    kind, value = str(item[0]), item[1]
    if kind in ("LITERAL", "NOT_LITERAL", "ANY", "IN"):
        return ("class", _class(item, flags))
    if kind == "branch":
        return ("branch", [_tree_of(branch, flags) for branch in value])
    if kind == "BRANCH":
        return _branch([_tree_of(branch, flags) for branch in value[1]])
    if kind == "MAX_REPEAT":
        low, high, inner = value
        top = None if str(high) == "MAXREPEAT" else int(high)
        return ("repeat", int(low), top, _tree_of(inner, flags))
    if kind == "SUBPATTERN" and value[0] is None and not value[1] and not value[2]:
        return _tree_of(value[3], flags)
    raise UnequalPatternError(f"{_named(kind)} inside the pattern")


def _branch(trees: list[Any]) -> Any:
    """Where the last alternative is empty, as Python reads ``(?:ab|a)``, the others may be left out."""
    if trees[-1] != ("seq", []):
        return ("branch", trees)
    return ("repeat", 0, 1, trees[0] if len(trees) == 2 else ("branch", trees[:-1]))


def _named(kind: str) -> str:
    known = {
        "SUBPATTERN": "a group",
        "MIN_REPEAT": "a lazy repeat",
        "AT": "a position such as \\b or ^",
        "ASSERT": "look-around",
        "ASSERT_NOT": "look-around",
        "GROUPREF": "a back reference",
    }
    return known.get(kind, kind.lower())


def _class(item: Any, flags: int) -> Ranges:
    """The code points that Python's own matcher accepts for one item of its parse tree."""
    kind, value = str(item[0]), item[1]
    if kind == "LITERAL":
        return class_of(_flagged(re.escape(chr(value)), flags))
    if kind == "NOT_LITERAL":
        return class_of(_flagged(f"[^{re.escape(chr(value))}]", flags))
    if kind == "ANY":
        return class_of("." if flags & re.DOTALL else "[^\\n]")
    return class_of(_flagged(_bracket(value), flags))


def _flagged(pattern: str, flags: int) -> str:
    letters = ("i" if flags & re.IGNORECASE else "") + ("a" if flags & re.ASCII else "")
    return f"(?{letters}:{pattern})" if letters else pattern


def _bracket(items: Sequence[Any]) -> str:
    parts = []
    for item in items:
        kind, value = str(item[0]), item[1]
        if kind == "NEGATE":
            parts.append("^")
        elif kind == "LITERAL":
            parts.append(re.escape(chr(value)))
        elif kind == "RANGE":
            parts.append(f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}")
        elif kind == "CATEGORY":
            parts.append(_CATEGORIES[str(value)])
        else:
            raise UnequalPatternError(f"{kind.lower()} inside a class")
    return "[" + "".join(parts) + "]"


_CATEGORIES = {
    f"CATEGORY_{'NOT_' if escape.isupper() else ''}{name}": escape
    for name, letter in (("WORD", "w"), ("SPACE", "s"), ("DIGIT", "d"))
    for escape in (f"\\{letter}", f"\\{letter.upper()}")
}


# --- what a reduced tree means


def _regex(tree: Any) -> str:
    kind = tree[0]
    if kind == "class":
        if not tree[1]:
            raise UnequalPatternError("a class without characters")
        return re2_class(tree[1])
    if kind == "seq":
        return "".join(map(_regex, tree[1]))
    if kind == "branch":
        return "(?:" + "|".join(map(_regex, tree[1])) + ")"
    _, low, high, inner = tree
    return f"(?:{_regex(inner)}){{{low},{'' if high is None else high}}}"


def _classes(tree: Any) -> list[Ranges]:
    if tree[0] == "class":
        return [tree[1]]
    inner = [tree[3]] if tree[0] == "repeat" else tree[1]
    return [spans for node in inner for spans in _classes(node)]


def _holds_blank(tree: Any) -> bool:
    return any(low <= 32 <= high for spans in _classes(tree) for low, high in spans)


def _nullable(tree: Any) -> bool:
    if tree[0] == "class":
        return False
    if tree[0] == "seq":
        return all(map(_nullable, tree[1]))
    if tree[0] == "branch":
        return any(map(_nullable, tree[1]))
    return tree[1] == 0 or _nullable(tree[3])


def _plain_run(tree: Any, words: Ranges) -> int | None:
    """n where the tree is ``\\w{n,}``, however it is spelled; else None."""
    if tree[0] == "class":
        return None
    least, endless = 0, False
    for node in tree[1] if tree[0] == "seq" else [tree]:
        low, high, inner = (node[1], node[2], node[3]) if node[0] == "repeat" else (1, 1, node)
        flat = inner[1][0] if inner[0] == "seq" and len(inner[1]) == 1 else inner
        if flat != ("class", words):
            return None
        least, endless = least + low, endless or high is None
        if high is not None and high != low:
            return None
    return least if endless and least else None


class _Automaton:
    """Glushkov's: positions are the classes of the pattern; who may follow whom, in Python's order."""

    def __init__(self) -> None:
        self.classes: list[Ranges] = []
        self.follow: list[list[int]] = []

    def place(self, tree: Any) -> tuple[list[int], list[int], bool]:
        """First positions in order, last positions, and whether it may be empty."""
        if tree[0] == "class":
            self.classes.append(tree[1])
            self.follow.append([])
            at = [len(self.classes) - 1]
            return at, at, False
        if tree[0] == "branch":
            parts = [self.place(node) for node in tree[1]]
            if any(empty for _, _, empty in parts):
                raise UnequalPatternError("an alternative that may be empty")
            return [i for part in parts for i in part[0]], [i for part in parts for i in part[1]], False
        if tree[0] == "maybe":
            return (*self.place(tree[1])[:2], True)
        if tree[0] == "loop":
            return self._loop(tree[1], tree[2])
        return self._sequence(tree[1]) if tree[0] == "seq" else self._repeat(*tree[1:])

    def _sequence(self, nodes: Sequence[Any]) -> tuple[list[int], list[int], bool]:
        first: list[int] = []
        last: list[int] = []
        empty = True
        for node in nodes:
            starts, ends, optional = self.place(node)
            self._join(last, starts)
            first = first + starts if empty else first
            last = last + ends if optional else ends
            empty = empty and optional
        return first, last, empty

    def _repeat(self, low: int, high: int | None, inner: Any) -> tuple[list[int], list[int], bool]:
        if _nullable(inner):
            raise UnequalPatternError("a repeat of what may be empty")
        if max(low, high or 0) > MOST_COPIES:
            raise UnequalPatternError(f"more than {MOST_COPIES} repeats")
        if high is None:
            ahead = [inner] * max(low - 1, 0)
            return (
                self._sequence([*ahead, ("loop", inner, low == 0)]) if ahead else self._loop(inner, low == 0)
            )
        optional = None
        for _ in range(high - low):
            optional = ("maybe", inner if optional is None else ("seq", [inner, optional]))
        return self._sequence([inner] * low + ([optional] if optional else []))

    def _loop(self, inner: Any, empty: bool) -> tuple[list[int], list[int], bool]:
        first, last, _ = self.place(inner)
        self._join(last, first)
        return first, last, empty

    def _join(self, last: list[int], first: list[int]) -> None:
        """What is joined first is preferred: inner loops before what comes after them."""
        for position in last:
            self.follow[position] += [one for one in first if one not in self.follow[position]]


_END = -1
"""Among the ways to go on: to end here."""


def _demand_longest_first(tree: Any) -> None:
    """Raise where Python may prefer a match to a longer one."""
    if _nullable(tree):
        raise UnequalPatternError("it matches empty tokens")
    automaton = _Automaton()
    first, last, _ = automaton.place(tree)
    onward = [[*ways, _END] if at in last else ways for at, ways in enumerate(automaton.follow)]
    letters = _letters(automaton.classes)
    known = {tuple(first)}
    waiting = [tuple(first)]
    while waiting:
        ways = waiting.pop()
        if _END in ways[:-1]:
            raise UnequalPatternError("of two ways to match the shorter one comes first")
        for taken in letters:
            found = tuple(dict.fromkeys(one for way in ways if way in taken for one in onward[way]))
            if found and found not in known:
                known.add(found)
                waiting.append(found)
        if len(known) > MOST_STATES:
            raise UnequalPatternError("too many ways to match")


def _letters(classes: Sequence[Ranges]) -> set[frozenset[int]]:
    """For every kind of letter the positions that take it."""
    edges = sorted({edge for spans in classes for low, high in spans for edge in (low, high + 1)})
    taken = [_members(spans, edges) for spans in classes]
    kinds = {frozenset(at for at, member in enumerate(taken) if member[i]) for i in range(len(edges))}
    return kinds - {frozenset()}


def _members(spans: Ranges, edges: list[int]) -> list[bool]:
    """Whether the letters from each edge to the next are in the class."""
    starts, ends = {low for low, _ in spans}, {high + 1 for _, high in spans}
    inside, members = False, []
    for edge in edges:
        inside = edge in starts or (inside and edge not in ends)
        members.append(inside)
    return members
