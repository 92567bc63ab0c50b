"""HashingVectorizer: tokens to columns by MurmurHash3.

Source: sklearn/feature_extraction/text.py, _hashing_fast.pyx and utils/src/MurmurHash3.cpp (1.9).

- hash: MurmurHash3_x86_32 of the token's UTF-8, seed 0, signed; ONNX Runtime's MurmurHash3 is the same.
- column: ``|hash| % n_features``; ``|-2**31|`` is taken in 64 bits, which gives the source's special case.
- value: +1 or, with alternate_sign, the sign of the hash; values of one column are added.
- binary: every column that was hit is 1, also where signs cancelled. Then norm, as TfidfTransformer's.
- the columns of a row are sorted and merged, so a linear model behind it gathers its coefficients instead of
  multiplying a row of a million zeros; the dense row is only written where something else needs it.
- n-grams are hashed as the tokens joined by one blank (letters: by nothing); tokens as `text` finds them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.classical import idioms
from converters.classical.columns import Features, Matrix
from converters.classical.facts import Feature
from converters.classical.families import text_steps, text_weights
from converters.classical.families.text import ANY, APART, STOP, Vectorizer, folded, numbered, padded_words
from converters.classical.families.text_patterns import white_space
from converters.classical.families.text_tables import complement, re2_class
from converters.classical.graph import MICROSOFT, Value
from zoo.records import ColumnDomain

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Operand

MOST_COLUMNS = 2**21
"""A dense row of more float64 numbers is above 16 MiB."""


class HashingVectorizer(Vectorizer):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, graph = self.estimator, self.graph
        width, dtype = int(source.n_features), str(np.dtype(source.dtype))
        if width > MOST_COLUMNS:
            raise self.refuse(f"n_features={width} as one dense row", f"Fit it with at most {MOST_COLUMNS}.")
        places, sums, known = merged(graph, *self._hashed(X), width)
        values = graph.cast(known if source.binary else sums, dtype)
        if source.norm is not None:
            values = text_weights.normalized(graph, values, source.norm)
        return Matrix(spread(graph, places, values, width), width, True)

    def _hashed(self, X: Features) -> tuple[Value, Value]:
        """For every token its column, `n_features` where there is none, and its sign: [N, P] int64."""
        import numpy as np

        graph = self.graph
        found = idioms.concat(graph, self.grams(X))
        hashes = graph.op("MurmurHash3", found, domain=MICROSOFT, dtype="int32", positive=0, seed=0)
        width = np.array(int(self.estimator.n_features))
        columns = graph.op("Mod", graph.op("Abs", graph.cast(hashes, "int64")), width)
        none = graph.op("Equal", found, graph.constant(""))
        plain = not self.estimator.alternate_sign or self.estimator.binary
        signs = np.array(1) if plain else graph.where(graph.greater_equal(hashes, 0), 1, np.array(-1))
        return graph.op("Where", none, width, columns), graph.where(none, np.array(0), signs)

    def grams(self, X: Features) -> list[Value]:
        """The n-grams of every length as texts [N, places], empty where there is none."""
        text = self.prepared(X, None)
        write = {"word": self._words, "char": self._letters, "char_wb": self._letters_of_words}
        return write[self.estimator.analyzer](text)

    def _words(self, text: Value) -> list[Value]:
        graph, how = self.graph, self.tokens()
        found = text_steps.pieces(graph, text, how.regex)
        kept = graph.op("Not", graph.op("Equal", found, graph.constant("")))
        if how.only:
            kept = graph.op("And", kept, text_steps.matches(graph, found, how.only))
        if self.stop_words:
            kept = graph.op("And", kept, graph.greater(numbered(graph, found, {}, self.stop_words), STOP))
        return self._lengths(text_steps.gathered(graph, found, kept), " ")

    def _letters(self, text: Value) -> list[Value]:
        return self._lengths(folded(self.graph, text), "")

    def _letters_of_words(self, text: Value) -> list[Value]:
        graph = self.graph
        words = text_steps.pieces(graph, text, re2_class(complement(white_space())) + "+")
        letters = text_steps.pieces(graph, text_steps.joined(graph, padded_words(graph, words)), ANY)
        short = f"{ANY}{{1,{max(1, self.estimator.ngram_range[0] - 3)}}}"
        grams = [without(graph, gram, f"{ANY}*{APART}{ANY}*") for gram in self._lengths(letters, "")]
        if self.estimator.ngram_range[0] > 3:
            padded = graph.op(
                "StringConcat", graph.constant(" "), graph.op("StringConcat", words, graph.constant(" "))
            )
            fits = text_steps.matches(graph, words, short)
            grams.append(graph.op("Where", fits, padded, graph.constant("")))
        return grams

    def _lengths(self, tokens: Value, glue: str) -> list[Value]:
        low, high = self.estimator.ngram_range
        # Rows are as wide as the longest n-gram, so that every one has its places.
        blank = text_steps.blanks(self.graph, idioms.take_columns(self.graph, tokens, [0]))
        wide = idioms.concat(self.graph, [tokens, *[blank] * (high - 1)])
        grams, longer = [], wide
        for n in range(1, high + 1):
            longer = wide if n == 1 else text_steps.followed(self.graph, longer, wide, n - 1, glue)
            if n >= low:
                grams.append(longer)
        return grams

    def facts(self) -> list[Feature]:
        return [Feature("string", ColumnDomain(texts=("text with some words", "another text", "WORDS")))]


def without(graph: Graph, found: Value, regex: str) -> Value:
    """Texts that `regex` does not match; the others empty."""
    return graph.op("Where", text_steps.matches(graph, found, regex), graph.constant(""), found)


def merged(graph: Graph, columns: Value, signs: Value, width: int) -> tuple[Value, Value, Value]:
    """Each column once for each row, with the sum of its signs, and 1 where it is a column: [N, P] int64."""
    import numpy as np

    count = graph.op("Shape", columns, start=1, end=2)
    ordered, places = graph.ops(
        "TopK", columns, count, dtypes=("int64", "int64"), axis=1, largest=0, sorted=1
    )
    totals = graph.op("CumSum", graph.op("GatherElements", signs, places, axis=1), np.array(1))
    after = graph.op("Slice", ordered, np.array([1]), np.array([2**62]), np.array([1]))
    end = graph.op("Expand", np.array([[width]]), graph.op("Shape", idioms.take_columns(graph, ordered, [0])))
    last = graph.op("Not", graph.equal(ordered, idioms.concat(graph, [after, end])))
    kept = text_steps.compacted(graph, ordered, last), text_steps.compacted(graph, totals, last)
    number = graph.op("ReduceSum", graph.cast(last, "int64"), np.array([1]), keepdims=1)
    order = graph.sub(text_steps.running(graph, graph.equal(kept[0], kept[0])), 1)
    known = graph.cast(graph.less(order, number), "int64")
    before = graph.op("Pad", kept[1], np.array([0, 1, 0, -1]), np.array(0))
    return kept[0], graph.mul(graph.sub(kept[1], before), known), known


def spread(graph: Graph, places: Value, values: Value, width: int) -> Value:
    """Rows [N, width] of zeros but for `values` [N, P] at `places`, and how to multiply them unwritten."""
    import numpy as np

    empty = idioms.broadcast_rows(graph, np.zeros(width, values.dtype))
    wide = graph.op("ScatterElements", empty, places, values, axis=1, reduction="add")

    def product(table: Operand, offset: Operand | None = None) -> Value:
        table = graph.cast(table, values.dtype)
        known, rows = graph.array(table), idioms.take(graph, table, places)
        flat = known is not None and known.ndim == 1
        weights = values if flat else graph.op("Unsqueeze", values, np.array([2]))
        total = graph.op("ReduceSum", graph.mul(rows, weights), np.array([1]), keepdims=0)
        return total if offset is None else graph.add(total, offset)

    graph.products[wide.name] = product
    return wide


EMITTERS = {"sklearn.feature_extraction.text.HashingVectorizer": HashingVectorizer}
