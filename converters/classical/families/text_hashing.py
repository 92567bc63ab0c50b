"""HashingVectorizer: tokens to columns by MurmurHash3.

Source: sklearn/feature_extraction/text.py, _hashing_fast.pyx and utils/src/MurmurHash3.cpp (1.9).

- hash: MurmurHash3_x86_32 of the token's UTF-8, seed 0, signed; ONNX Runtime's MurmurHash3 is the same.
- column: ``|hash| % n_features``; ``|-2**31|`` is taken in 64 bits, which gives the source's special case.
- value: +1 or, with alternate_sign, the sign of the hash; values of one column are added.
- binary: every column that was hit is 1, also where signs cancelled. Then norm, as TfidfTransformer's.
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
from converters.classical.graph import MICROSOFT
from zoo.records import ColumnDomain

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value

MOST_COLUMNS = 2**21
"""A dense row of more float64 numbers is above 16 MiB."""


class HashingVectorizer(Vectorizer):
    def transform(self, X: Features) -> Matrix:
        import numpy as np

        source, graph = self.estimator, self.graph
        if source.n_features > MOST_COLUMNS:
            raise self.refuse(
                f"n_features={source.n_features} as one dense row", f"Fit it with at most {MOST_COLUMNS}."
            )
        found = idioms.concat(graph, self.grams(X))
        hashes = graph.op("MurmurHash3", found, domain=MICROSOFT, dtype="int32", positive=0, seed=0)
        values = self._values(found, hashes)
        dtype = str(np.dtype(source.dtype))
        total = graph.cast(added(graph, hashes, values, int(source.n_features)), dtype)
        if source.binary:
            total = graph.cast(graph.greater(total, 0), dtype)
        if source.norm is not None:
            total = text_weights.normalized(graph, total, source.norm)
        return Matrix(total, int(source.n_features), True)

    def _values(self, found: Value, hashes: Value) -> Value:
        graph = self.graph
        token = graph.cast(graph.op("Not", graph.op("Equal", found, graph.constant(""))), "float64")
        if not self.estimator.alternate_sign or self.estimator.binary:
            return token
        sign = graph.where(graph.greater_equal(hashes, 0), 1.0, -1.0)
        return graph.mul(token, sign)

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


def added(graph: Graph, hashes: Value, values: Value, width: int) -> Value:
    """float64 values [N, P] added up in the columns of their hashes: [N, width]."""
    import numpy as np

    columns = graph.op("Mod", graph.op("Abs", graph.cast(hashes, "int64")), np.array(width))
    empty = idioms.broadcast_rows(graph, np.zeros(width))
    return graph.op("ScatterElements", empty, columns, values, axis=1, reduction="add")


EMITTERS = {"sklearn.feature_extraction.text.HashingVectorizer": HashingVectorizer}
