"""Steps on text in the graph: cut it into pieces, change letters, put it together again, drop tokens.

ONNX Runtime's Tokenizer cuts by RE2's longest match, StringConcat joins two texts; nothing joins a row, so
that is a loop that halves the number of pieces. StringNormalizer is used in the locale C, which every
machine has, where it lowers A to Z and nothing else: what it lowers in other locales depends on those that
are installed, and on their version of Unicode.
"""

from __future__ import annotations

from string import ascii_uppercase
from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.branches import branch
from converters.classical.families.text_tables import (
    FINAL_SIGMA,
    SIGMA,
    CharMap,
    both,
    cased,
    ignorable,
    points_of,
    ranges,
    re2_class,
    without,
)
from converters.classical.graph import MICROSOFT, Value

if TYPE_CHECKING:
    import onnx

    from converters.classical.graph import Graph

MAX = 2**62


def pieces(graph: Graph, text: Value, regex: str) -> Value:
    """The matches of `regex` in texts [N], one behind the other: [N, P + 1], empty where there is none."""
    return idioms.concat(graph, [cut(graph, text, regex), idioms.upright(graph, blanks(graph, text))])


def cut(graph: Graph, text: Value, regex: str) -> Value:
    """`pieces` without the empty one at the end: P is 0 where no text has any. N is at least 1."""
    return graph.op("Tokenizer", text, domain=MICROSOFT, mark=0, mincharnum=1, pad_value="", tokenexp=regex)


def blanks(graph: Graph, like: Value) -> Value:
    """Empty texts in the shape of `like`."""
    return graph.op("Expand", graph.constant(""), graph.op("Shape", like))


def rewritten(graph: Graph, text: Value, change: CharMap, sigma: bool) -> Value:
    """Texts [N] with every letter changed; `sigma`: with ``Σ`` by its place in the word.

    Texts of which ASCII alone changes are not taken apart, where the whole batch is such. ONNX Runtime
    refuses a batch without rows.
    """
    capitals = {letter for letter in change.mapped if letter.isascii()}
    if capitals not in (set(), set(ascii_uppercase)):
        raise TypeError("only all of A to Z, or none, can be lowered at once")
    simple = ranges(sorted(points_of(change.kept) | set(map(ord, capitals))))
    none_else = graph.op("ReduceMin", matches(graph, text, re2_class(simple) + "*"), keepdims=0)

    def write() -> tuple[Value, ...]:
        return branch(
            graph,
            none_else,
            lambda: [lowered(graph, text) if capitals else text],
            lambda: [_letter_by_letter(graph, text, change, sigma)],
        )

    return graph.once(("rewritten", none_else, sigma), write)[0]


def lowered(graph: Graph, text: Value) -> Value:
    """A to Z of texts [N] as a to z; N is at least 1."""
    return graph.op("StringNormalizer", text, case_change_action="LOWER", is_case_sensitive=1, locale="C")


def _letter_by_letter(graph: Graph, text: Value, change: CharMap, sigma: bool) -> Value:
    apart = pieces(graph, text, _cutting(change, sigma))
    changed = replaced(graph, apart, change.mapped)
    if change.dropped:
        changed = graph.op("Where", matches(graph, apart, re2_class(change.dropped) + "+"), "", changed)
    if sigma:
        final = final_sigmas(graph, apart)
        changed = graph.op("Where", final, graph.constant(FINAL_SIGMA), changed)
    return joined(graph, changed)


def _cutting(change: CharMap, sigma: bool) -> str:
    """Changed letters alone, everything else in runs; runs of one case where ``Σ`` matters."""
    runs = [change.kept]
    if sigma:
        rest = without(without(change.kept, cased()), ignorable())
        others = [both(change.kept, cased()), both(change.kept, ignorable())]
        runs = [*others, rest]
    cut = [re2_class(spans) + "+" for spans in (change.dropped, *runs) if spans]
    return "|".join([re2_class(change.single), *cut])


def replaced(graph: Graph, x: Value, changes: dict[str, str]) -> Value:
    """``changes.get(x, x)`` for texts of any shape; no text may become the empty one."""
    found = graph.op(
        "LabelEncoder",
        x,
        domain="ai.onnx.ml",
        dtype="string",
        keys_strings=list(changes),
        values_strings=list(changes.values()),
        default_string="",
    )
    return graph.op("Where", graph.op("Equal", found, graph.constant("")), x, found)


def matches(graph: Graph, x: Value, regex: str) -> Value:
    """Where RE2's `regex` matches a text from end to end."""
    return graph.op("RegexFullMatch", x, pattern=regex)


def final_sigmas(graph: Graph, apart: Value) -> Value:
    """Where a piece is a ``Σ`` that ``str.lower`` makes final: a cased letter before it, none after."""
    cases = matches(graph, apart, re2_class(cased()) + "+")
    looked_through = graph.op(
        "Or",
        matches(graph, apart, re2_class(ignorable()) + "+"),
        graph.op("Equal", apart, graph.constant("")),
    )
    seen = graph.op("Not", looked_through)
    order = running(graph, seen)
    # Row by row the pieces that count, from place 1 on: 1 for cased, 0 for others and for none.
    compact = scattered(graph, graph.cast(cases, "int64"), seen, order)
    before = graph.op("GatherElements", compact, graph.maximum(graph.sub(order, 1), 0), axis=1)
    after = graph.op("GatherElements", compact, graph.add(order, 1), axis=1)
    alone = graph.op("And", graph.equal(before, 1), graph.equal(after, 0))
    return graph.op("And", alone, graph.op("Equal", apart, graph.constant(SIGMA)))


def running(graph: Graph, flags: Value) -> Value:
    """How many of a row's flags [N, P] are set up to each place, itself included."""
    import numpy as np

    return graph.op("CumSum", graph.cast(flags, "int64"), graph.constant(np.int64(1)))


def scattered(graph: Graph, values: Value, kept: Value, places: Value) -> Value:
    """int64 `values` [N, P] of `kept` at their `places` (0 to P) in rows [N, P + 3] of zeros."""
    import numpy as np

    shape = graph.op("Shape", values)
    wide = graph.op("Add", shape, np.array([0, 3], dtype=np.int64))
    last = graph.op("Sub", graph.op("Gather", wide, graph.constant(np.int64(1)), axis=0), np.array(1))
    empty = graph.op("Expand", graph.constant(np.zeros((1, 1), np.int64)), wide)
    where = graph.op("Where", kept, places, last)
    updates = graph.op("Where", kept, values, np.array(0))
    return graph.op("ScatterElements", empty, where, updates, axis=1)


def compacted(graph: Graph, values: Value, kept: Value) -> Value:
    """int64 `values` [N, P] of `kept` moved to the front of their rows, zeros behind: [N, P + 3]."""
    return scattered(graph, values, kept, graph.sub(running(graph, kept), 1))


def gathered(graph: Graph, found: Value, kept: Value) -> Value:
    """Texts [N, P] of `kept` moved to the front of their rows, empty ones behind: [N, P + 3]."""
    order = running(graph, graph.op("Or", kept, graph.op("Not", kept)))
    places = compacted(graph, order, kept)
    blank = blanks(graph, idioms.take_columns(graph, found, [0]))
    return graph.op("GatherElements", idioms.concat(graph, [blank, found]), places, axis=1)


def followed(graph: Graph, grams: Value, tokens: Value, ahead: int, glue: str) -> Value:
    """n-grams [N, P] one token longer: [N, P - 1], empty where no token is `ahead` places on."""
    import numpy as np

    one, end = np.array([1]), np.array([MAX])
    start = graph.op("Slice", grams, np.array([0]), np.array([-1]), one)
    last = graph.op("Slice", tokens, np.array([ahead]), end, one)
    longer = graph.op("StringConcat", graph.op("StringConcat", start, graph.constant(glue)), last)
    none = graph.op("Equal", last, graph.constant(""))
    return graph.op("Where", none, graph.constant(""), longer)


def joined(graph: Graph, parts: Value) -> Value:
    """The pieces of each row [N, P] in one text: [N]. P is at least 1."""
    whole = graph.op(
        "Loop", Value("", "int64"), _several(graph, parts), parts, dtype="string", body=_halving()
    )
    return idioms.flat(graph, whole)


def _several(graph: Graph, parts: Value) -> Value:
    width = graph.op("Shape", parts, start=1, end=2)
    return graph.op("Squeeze", graph.greater(width, 1))


def _halving() -> onnx.GraphProto:
    """Joins every second piece to the one before it; ends when one is left."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Shape", ["parts"], ["rows"], start=0, end=1),
        helper.make_node("Shape", ["parts"], ["width"], start=1, end=2),
        helper.make_node("Mod", ["width", "two"], ["odd"]),
        helper.make_node("Concat", ["rows", "odd"], ["missing"], axis=0),
        helper.make_node("Expand", ["empty", "missing"], ["filler"]),
        helper.make_node("Concat", ["parts", "filler"], ["even"], axis=1),
        helper.make_node("Slice", ["even", "zero", "end", "one", "two"], ["left"]),
        helper.make_node("Slice", ["even", "one", "end", "one", "two"], ["right"]),
        helper.make_node("StringConcat", ["left", "right"], ["halved"]),
        helper.make_node("Greater", ["width", "two"], ["more_"]),
        helper.make_node("Squeeze", ["more_"], ["more"]),
    ]
    numbers = {"zero": 0, "one": 1, "two": 2, "end": MAX}
    constants = [helper.make_tensor(name, TensorProto.INT64, [1], [n]) for name, n in numbers.items()]
    constants.append(helper.make_tensor("empty", TensorProto.STRING, [1, 1], [b""]))
    text = TensorProto.STRING
    return helper.make_graph(
        nodes,
        "halving",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("parts", text, [None, None]),
        ],
        [
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            helper.make_tensor_value_info("halved", text, [None, None]),
        ],
        constants,
    )
