"""CountVectorizer and TfidfVectorizer: from text to counts of tokens.

Source: sklearn/feature_extraction/text.py (1.9).

- text: ``lower()``, then strip_accents, both as Python's Unicode has them (`text_tables`).
- tokens, analyzer word: the matches of `token_pattern` (`text_patterns`); stop words are dropped before
  n-grams are made of what is left, joined by one blank.
- analyzer char: two or more white-space characters become one blank, a single one stays; n-grams of
  letters.
- analyzer char_wb: every word (``split()``) between two blanks; n-grams inside; a word shorter than the
  least n counts once, whole.
- counts: int64 or the vectorizer's dtype; `binary` makes them 1. Tokens that are not in the vocabulary have
  no column, but keep their place in n-grams.
- callables (tokenizer, preprocessor, analyzer) are arbitrary Python: refused, but for ``str.split``,
  ``str.lower`` and scikit-learn's own strip_accents functions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterable, Mapping, Optional, Sequence

from converters.classical import idioms
from converters.classical.columns import Features, Matrix, texts
from converters.classical.emit import Emitter
from converters.classical.facts import Feature
from converters.classical.families import text_steps, text_weights
from converters.classical.families.text_patterns import Tokens, UnequalPatternError, tokens_of, white_space
from converters.classical.families.text_tables import FINAL_SIGMA, char_map, complement, re2_class
from zoo.records import ColumnDomain, record

if TYPE_CHECKING:
    from converters.classical.graph import Graph, Value

OUT, STOP = 0, -1
"""The numbers of a token outside the vocabulary and of a stop word; known ones count from 1."""
ANY = "(?s:.)"
"""One character, a line's end too, for RE2."""
APART = "\U0010ffff"
"""Stands between two words in char_wb; a noncharacter, so no vocabulary has it."""


@record
class Terms:
    """Each term as a sequence of parts (tokens or letters), None where the source never finds it.

    `items` are in the order of the columns.
    """

    items: tuple[Optional[tuple[str, ...]], ...]

    @property
    def parts(self) -> dict[str, int]:
        """Every part with its number, from 1."""
        found = dict.fromkeys(part for parts in self.items for part in parts or ())
        return {part: number for number, part in enumerate(found, 1)}


class Vectorizer(Emitter):
    """What all vectorizers share: options that are read, text that is prepared."""

    @property
    def reads_texts(self) -> bool:
        return True

    @property
    def width(self) -> int:
        return 1

    def prepared(self, X: Features, letters: str | None) -> Value:
        """The text after the source's preprocessor; `letters`: those that make a difference, None for all."""
        self.demand_expressible()
        lower, accents = self._lower(), self._accents()
        text = texts(self.graph, X)
        if not lower and accents is None:
            return text
        sigma = lower and accents != "ascii" and (letters is None or bool({"σ", FINAL_SIGMA} & set(letters)))
        return text_steps.rewritten(self.graph, text, char_map(lower, accents), sigma)

    def demand_expressible(self) -> None:
        """Refuse what is arbitrary Python."""
        source = self.estimator
        if source.input != "content":
            raise self.refuse(f"input={source.input!r} reads files", "Fit it with input='content'.")
        if callable(source.analyzer):
            raise self.refuse(f"analyzer {_name(source.analyzer)} is a function of its own")
        if source.preprocessor not in (None, str.lower):
            raise self.refuse(f"preprocessor {_name(source.preprocessor)} is a function of its own")
        if source.analyzer == "word" and source.tokenizer not in (None, str.split):
            raise self.refuse(
                f"tokenizer {_name(source.tokenizer)} is a function of its own",
                "Say it as token_pattern, or tokenize before the graph and fit on the joined tokens.",
            )

    def _lower(self) -> bool:
        if self.estimator.preprocessor is not None:
            return bool(self.estimator.preprocessor is str.lower)
        return bool(self.estimator.lowercase)

    def _accents(self) -> str | None:
        from sklearn.feature_extraction.text import strip_accents_ascii, strip_accents_unicode

        asked = None if self.estimator.preprocessor is not None else self.estimator.strip_accents
        known = {None: None, "ascii": "ascii", "unicode": "unicode"}
        known |= {strip_accents_ascii: "ascii", strip_accents_unicode: "unicode"}
        if asked not in known:
            raise self.refuse(f"strip_accents {_name(asked)} is a function of its own")
        return known[asked]

    def tokens(self) -> Tokens:
        """How the word analyzer finds tokens."""
        if self.estimator.tokenizer is str.split:
            return Tokens(re2_class(complement(white_space())) + "+")
        pattern = self.estimator.token_pattern
        try:
            return tokens_of(pattern)
        except UnequalPatternError as reason:
            raise self.refuse(
                f"token_pattern {pattern!r} may find other tokens in RE2 than in Python: {reason}",
                r"Patterns like \b\w\w+\b, \w+, [a-z]{3,} or [^ ]+ are the same in both.",
            ) from reason

    @property
    def stop_words(self) -> frozenset[str]:
        """The stop words of the word analyzer."""
        if self.estimator.analyzer != "word":
            return frozenset()
        return frozenset(self.estimator.get_stop_words() or ())


class CountVectorizer(Vectorizer):
    @property
    def vocabulary(self) -> Mapping[str, int]:
        """Terms and their columns; given instead of fitted, where the vectorizer was not fitted."""
        if not hasattr(self.estimator, "vocabulary_"):
            self.estimator._validate_vocabulary()
        return {str(term): int(column) for term, column in self.estimator.vocabulary_.items()}

    def transform(self, X: Features) -> Matrix:
        counts = self.counts(X)
        return Matrix(self.graph.cast(counts, _dtype(self.estimator)), len(self.vocabulary), True)

    def counts(self, X: Features) -> Value:
        """How often each term occurs: float32 [N, terms]; whole numbers up to 2**24."""
        letters = "".join([*self.vocabulary, *self.stop_words])
        text = self.prepared(X, letters)
        write = {"word": self._words, "char": self._letters, "char_wb": self._letters_of_words}
        counts = write[self.estimator.analyzer](text)
        if self.estimator.binary:
            counts = self.graph.cast(self.graph.greater(counts, 0), "float32")
        return counts

    def _words(self, text: Value) -> Value:
        how, graph = self.tokens(), self.graph
        terms = self._terms(self._word_parts(how.spaces))
        drops = self.estimator.ngram_range[1] > 1 and (how.only or self.stop_words)
        # Where letters change there is a row at least, see `text_steps.rewritten`.
        changes = self._lower() or self._accents() is not None
        found = (text_steps.cut if changes and not drops else text_steps.pieces)(graph, text, how.regex)
        numbers = numbered(graph, found, terms.parts, self.stop_words)
        if drops:
            kept = graph.greater(numbers, STOP)
            if how.only:
                kept = graph.op("And", kept, text_steps.matches(graph, found, how.only))
            numbers = text_steps.compacted(graph, numbers, kept)
        return self._counted(numbers, terms)

    def _word_parts(self, spaces: bool) -> Any:
        """Cuts a term into its tokens; None for a term that the source never finds."""
        low, high = self.estimator.ngram_range
        if spaces and high > 1:
            raise self.refuse(
                f"token_pattern {self.estimator.token_pattern!r} finds tokens with blanks in them, "
                "which cannot be told from n-grams"
            )
        tokenize, stop = self.estimator.build_tokenizer(), self.stop_words

        def parts(term: str) -> tuple[str, ...] | None:
            cut = (term,) if high == 1 else tuple(term.split(" "))
            fits = low <= len(cut) <= high and not stop.intersection(cut)
            return cut if fits and all(list(tokenize(part)) == [part] for part in cut) else None

        return parts

    def _letters(self, text: Value) -> Value:
        return self._letters_counted(folded(self.graph, text))

    def _letters_counted(self, found: Value) -> Value:
        low, high = self.estimator.ngram_range
        terms = self._terms(lambda term: tuple(term) if low <= len(term) <= high else None)
        return self._counted(numbered(self.graph, found, terms.parts), terms)

    def _letters_of_words(self, text: Value) -> Value:
        graph, (low, _) = self.graph, self.estimator.ngram_range
        words = text_steps.pieces(graph, text, re2_class(complement(white_space())) + "+")
        padded = padded_words(graph, words)
        counts = self._letters_counted(text_steps.pieces(graph, text_steps.joined(graph, padded), ANY))
        short = self._terms(lambda term: (term[1:-1],) if _is_word(term) and len(term) < low else None)
        if not short.parts:
            return counts
        return graph.add(counts, counted(graph, numbered(graph, words, short.parts), short, (1, 1)))

    def _terms(self, parts_of: Any) -> Terms:
        in_order = sorted(self.vocabulary, key=self.vocabulary.__getitem__)
        return Terms(tuple(map(parts_of, in_order)))

    def _counted(self, numbers: Value, terms: Terms) -> Value:
        return counted(self.graph, numbers, terms, self.estimator.ngram_range)

    def facts(self) -> list[Feature]:
        return [example_texts(list(self.vocabulary), sorted(self.stop_words))]


class TfidfVectorizer(CountVectorizer):
    def transform(self, X: Features) -> Matrix:
        counts = super().transform(X)
        return text_weights.weighted(self.graph, counts, self.estimator._tfidf)


def numbered(graph: Graph, found: Value, parts: Mapping[str, int], stop: Iterable[str] = ()) -> Value:
    """Tokens of any shape as int64 numbers: `parts`, else `STOP`, else `OUT`."""
    import numpy as np

    known = {**parts, **dict.fromkeys(sorted(stop), STOP)}
    values = np.array(list(known.values()), dtype=np.int64)
    return idioms.lookup(graph, found, list(known), values, OUT)


def counted(graph: Graph, numbers: Value, terms: Terms, lengths: tuple[int, int]) -> Value:
    """How often each term's parts follow each other in rows [N, P] of numbers: float32 [N, terms]."""
    low, high = lengths
    grams = _grams(terms, low)
    by_length = [[item for item in grams if len(item[0]) == n] for n in range(1, high + 1)]
    pools = [[number for gram, _ in group for number in gram] for group in by_length]
    starts = [sum(map(len, pools[:n])) for n in range(high)]
    return graph.op(
        "TfIdfVectorizer",
        numbers,
        dtype="float32",
        mode="TF",
        min_gram_length=int(low),
        max_gram_length=int(high),
        max_skip_count=0,
        ngram_counts=starts,
        ngram_indexes=[column for group in by_length for _, column in group],
        pool_int64s=[number for pool in pools for number in pool],
    )


def _grams(terms: Terms, least: int) -> list[tuple[list[int], int]]:
    """Each term in numbers, with its column; one that never occurs in numbers that no token has."""
    parts = terms.parts
    free = len(parts) + 1
    return [
        ([free + column] * least if term is None else [parts[part] for part in term], column)
        for column, term in enumerate(terms.items)
    ]


def folded(graph: Graph, text: Value) -> Value:
    """The letters of texts [N], where two or more of white space are one blank: [N, P]."""
    white = re2_class(white_space()) + "{2,}"
    found = text_steps.pieces(graph, text, f"{white}|{ANY}")
    return graph.op("Where", text_steps.matches(graph, found, white), graph.constant(" "), found)


def padded_words(graph: Graph, words: Value) -> Value:
    """Words between blanks and a sign that ends them; where there is no word, nothing."""
    ended = graph.op("StringConcat", words, graph.constant(" " + APART))
    padded = graph.op("StringConcat", graph.constant(" "), ended)
    none = graph.op("Equal", words, graph.constant(""))
    return graph.op("Where", none, graph.constant(""), padded)


def example_texts(terms: Sequence[str], stop: Sequence[str] = ()) -> Feature:
    """Texts that hold the vocabulary: each a few terms, some in capitals, with stop words between."""
    step = max(1, len(terms) // 96)
    chosen = list(terms)[::step][:96]
    lines = [" ".join(chosen[i : i + 6]) for i in range(0, len(chosen), 6)]
    lines = [line.upper() if i % 3 == 2 else line for i, line in enumerate(lines)]
    beside = list(stop)[:: max(1, len(stop) // 8)][:8]
    lines += [f"{a} {b} {a}" for a, b in zip(chosen, beside)]
    return Feature("string", ColumnDomain(texts=tuple(dict.fromkeys(lines)) or ("text",)))


def _is_word(term: str) -> bool:
    return len(term) > 2 and term[0] == term[-1] == " " and len(term.split()) == 1


def _dtype(estimator: Any) -> str:
    import numpy as np

    return str(np.dtype(estimator.dtype))


def _name(function: Any) -> str:
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"


EMITTERS = {
    "sklearn.feature_extraction.text.CountVectorizer": CountVectorizer,
    "sklearn.feature_extraction.text.TfidfVectorizer": TfidfVectorizer,
}
