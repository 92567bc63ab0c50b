"""Text: tokens, n-grams, letters, accents and weights as scikit-learn has them, in every script."""

from __future__ import annotations

import itertools
import random
import re

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import (
    CountVectorizer,
    HashingVectorizer,
    TfidfTransformer,
    TfidfVectorizer,
    strip_accents_unicode,
)
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from converters.classical.families.text_patterns import UnequalPatternError, tokens_of
from converters.classical.families.text_tables import char_map, every_character
from converters.classical.graph import Graph
from converters.from_sklearn import SklearnConverter
from tests.classical.harness import TEXTS, assert_same, case_id, request, run, session_of
from zoo.errors import UnsupportedModelError
from zoo.verification.texts import TEXTS as SCRIPTS

ENGLISH = ["the cat sat on the mat", "a cat and a dog are not the same cat", "I am a dog. The dog's mat!"]
SIGMAS = ["ΟΔΟΣ ΣΑΣ ΑΣ. ΑΣ.Β Α\u0301Σ\u0301 Σ ΣΣ ΣΣΣ ΑΣ\u00adΑ", "İi iİ abİcd İİab İ"]
DOCUMENTS = [*TEXTS, *SCRIPTS, *ENGLISH, *SIGMAS]

WORDS = [
    {},
    {"ngram_range": (1, 3)},
    {"ngram_range": (2, 2), "stop_words": "english"},
    {"ngram_range": (1, 2), "stop_words": ["the", "of", "ος"], "min_df": 2, "max_df": 0.5},
    {"lowercase": False, "binary": True},
    {"strip_accents": "unicode"},
    {"strip_accents": "ascii", "ngram_range": (1, 2)},
    {"strip_accents": strip_accents_unicode, "lowercase": False},
    {"max_features": 20, "dtype": np.float32},
    {"preprocessor": str.lower},
]
LETTERS = [
    {"analyzer": "char", "ngram_range": (1, 3)},
    {"analyzer": "char", "ngram_range": (2, 2), "lowercase": False, "strip_accents": "unicode"},
    {"analyzer": "char_wb", "ngram_range": (1, 2)},
    {"analyzer": "char_wb", "ngram_range": (3, 5)},
    {"analyzer": "char_wb", "ngram_range": (6, 7), "binary": True},
]
PATTERNS = [
    r"\w+",
    r"(?u)\b\w+\b",
    r"\b(\w{2,})\b",
    r"(?u)\b[a-z]{2,}\b",
    r"\b[a-zA-Z]{2,4}\b",
    r"\b(?:the|cat|a)\b",
    r"[^ ]+",
    r"\S+",
    r"(?i)[A-K]+|\d{2,3}",
    r"[a-zé]+(?:'[a-z]+)?",
    r"(?u)\b\w\w+\b|!|\?|\"|\'",
    r"(?a)\w+",
    r".",
]


@pytest.mark.parametrize("options", WORDS + LETTERS, ids=case_id)
def test_counting_is_pythons_in_every_script(options) -> None:
    assert_same(CountVectorizer(**options).fit(DOCUMENTS), DOCUMENTS)


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("longest", [1, 2])
def test_a_token_pattern_finds_the_tokens_that_python_finds(pattern, longest) -> None:
    if longest > 1 and pattern == ".":
        pytest.skip("refused: tokens with blanks, see below")
    vectorizer = CountVectorizer(token_pattern=pattern, ngram_range=(1, longest)).fit(DOCUMENTS)
    assert_same(vectorizer, DOCUMENTS)


AMBIGUOUS = (r"\w+[-']?\w*", r"(?:\w+@)?\w+", r"(?:[Aa]b|[a-z]c)+b?", r"(?:ab|a)b?", r"[A-Z]?[a-z]*b")
"""Several ways to go on with the same character, of which the first reaches as far as any."""


@pytest.mark.parametrize("pattern", [*PATTERNS, *AMBIGUOUS, r"\b\w\w+\b"])
def test_a_token_pattern_agrees_on_every_code_point(pattern) -> None:
    rng = random.Random(3)
    letters = rng.sample(every_character()[1:], 4000) + list("abc AB'!?1 _\n\u0301éß" * 400)
    rng.shuffle(letters)
    text = "".join(letters)
    plan = tokens_of(pattern)
    assert _tokens(plan, text) == re.findall(pattern, text)


def _tokens(plan, text: str) -> list[str]:
    from converters.classical.families import text_steps

    graph = Graph()
    found = text_steps.pieces(graph, graph.input("text", "string", ("batch",)), plan.regex)
    graph.output("found", found, ("batch", "tokens"))
    if plan.only:
        graph.output("fits", text_steps.matches(graph, found, plan.only), ("batch", "tokens"))
    answer = run(session_of(graph.build()), {"text": np.array([text], dtype=object)})
    fits = answer.get("fits", np.ones_like(answer["found"], dtype=bool))[0]
    return [str(token) for token, fit in zip(answer["found"][0], fits, strict=True) if token and fit]


UNEQUAL = [
    (r"a*(?:ab)?", "empty"),
    (r"a+(?:ab)?", "shorter one comes first"),
    (r"(?:a|ab)c?", "may be empty"),
    (r"\w+?", "lazy"),
    (r"(?<!x)\w+", "look-around"),
    (r"\b[\w']+\b", "beside characters"),
    (r"x(\w+)", "group"),
    (r"(\w)\1", "group"),
    (r"^\w+", "position"),
]


@pytest.mark.parametrize("pattern", AMBIGUOUS)
def test_the_first_match_is_the_longest_where_a_pattern_is_taken(pattern) -> None:
    tokens_of(pattern)
    compiled = re.compile(pattern)
    for letters in itertools.product("aAb@-c", repeat=5):
        text = "".join(letters)
        ends = [end for end in range(1, 6) if compiled.fullmatch(text, 0, end)]
        found = compiled.match(text)
        assert (found.end() if found else None) == max(ends, default=None), text


@pytest.mark.parametrize(("pattern", "reason"), UNEQUAL)
def test_a_token_pattern_that_re2_may_read_otherwise_is_refused(pattern, reason) -> None:
    with pytest.raises(UnequalPatternError, match=re.escape(reason)):
        tokens_of(pattern)


@pytest.mark.parametrize("lower", [True, False])
@pytest.mark.parametrize("accents", [None, "unicode", "ascii"])
def test_letters_change_as_python_changes_them_one_by_one(lower, accents) -> None:
    if not lower and accents is None:
        pytest.skip("nothing changes")
    from sklearn.feature_extraction.text import strip_accents_ascii

    strip = {"unicode": strip_accents_unicode, "ascii": strip_accents_ascii, None: str}[accents]
    expected = strip(every_character().lower() if lower else every_character())
    change = char_map(lower, accents)
    kept = {point for low, high in change.kept for point in range(low, high + 1)}
    changed = "".join(change.mapped.get(c, c if ord(c) in kept else "") for c in every_character())
    # All letters in one text: NFKD may reorder marks, of which none are left.
    assert sorted(changed.replace("ς", "σ")) == sorted(expected.replace("ς", "σ"))


def test_a_capital_sigma_is_final_where_python_makes_it_final() -> None:
    rng = random.Random(1)
    letters = "ΣΣΣAb.'\u0301\u00ad1 -ʰ\u0345ǅ"
    texts = ["".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(400)]
    vectorizer = CountVectorizer(analyzer="char", ngram_range=(2, 4)).fit(texts)
    assert_same(vectorizer, texts)


WEIGHTS = [
    {},
    {"ngram_range": (1, 2), "sublinear_tf": True, "norm": "l1"},
    {"norm": None, "smooth_idf": False},
    {"use_idf": False, "binary": True},
    {"dtype": np.float32, "sublinear_tf": True},
    {"analyzer": "char_wb", "ngram_range": (2, 3), "strip_accents": "unicode"},
]


@pytest.mark.parametrize("options", WEIGHTS, ids=str)
def test_weights_of_terms(options) -> None:
    assert_same(TfidfVectorizer(**options).fit(DOCUMENTS), DOCUMENTS)


def test_a_row_without_terms_stays_zero() -> None:
    counts = np.array([[1.0, 0, 2], [0, 0, 0], [3, 1, 0]])
    assert_same(TfidfTransformer(sublinear_tf=True).fit(counts), counts)


HASHES = [
    {},
    {"ngram_range": (1, 3), "norm": None},
    {"alternate_sign": False, "stop_words": "english", "ngram_range": (2, 3), "norm": "l1"},
    {"analyzer": "char", "ngram_range": (1, 3), "binary": True},
    {"analyzer": "char_wb", "ngram_range": (2, 4), "norm": None},
    {"analyzer": "char_wb", "ngram_range": (5, 6), "strip_accents": "unicode"},
    {"token_pattern": r"\b[a-z]{2,3}\b", "ngram_range": (1, 2), "dtype": np.float32},
]


@pytest.mark.parametrize("options", HASHES, ids=str)
def test_hashing_of_tokens(options) -> None:
    assert_same(HashingVectorizer(n_features=97, **options).fit(DOCUMENTS), DOCUMENTS)


@pytest.mark.parametrize("last", [LogisticRegression(max_iter=50), SGDClassifier(random_state=0)], ids=repr)
def test_a_linear_model_behind_many_hashed_columns_reads_only_those_of_the_text(last) -> None:
    labels = [i % 2 for i in range(len(DOCUMENTS))]
    model = make_pipeline(HashingVectorizer(n_features=2**18, ngram_range=(1, 2)), last).fit(
        DOCUMENTS, labels
    )
    assert_same(model, DOCUMENTS)
    graph = SklearnConverter().convert(model, request()).graph
    # Tokens are moved by ScatterElements of int64; a dense row would be float64 by addition.
    scattered = [node for node in graph.node if node.op_type == "ScatterElements"]
    assert not [node for node in scattered for item in node.attribute if item.name == "reduction"]


def test_a_given_vocabulary_keeps_the_columns_of_terms_that_never_occur() -> None:
    terms = ["cat", "the", "Never", "c", "cat sat", "sat on the", "the_", "a b"]
    assert_same(CountVectorizer(vocabulary=terms, ngram_range=(1, 2)), DOCUMENTS)
    assert_same(CountVectorizer(vocabulary=terms, ngram_range=(2, 2)), DOCUMENTS)
    assert_same(CountVectorizer(vocabulary=terms, stop_words=["the"]), DOCUMENTS)


def test_splitting_at_white_space_is_known_for_a_tokenizer() -> None:
    vectorizer = TfidfVectorizer(tokenizer=str.split, token_pattern=None, ngram_range=(1, 2))
    assert_same(vectorizer.fit(DOCUMENTS), DOCUMENTS)


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression()),
        make_pipeline(CountVectorizer(), TfidfTransformer(), LogisticRegression()),
        make_pipeline(CountVectorizer(), StandardScaler(with_mean=False), LogisticRegression()),
        make_pipeline(
            FeatureUnion([("w", TfidfVectorizer()), ("c", CountVectorizer(analyzer="char_wb"))]),
            LogisticRegression(max_iter=500),
        ),
        make_pipeline(HashingVectorizer(n_features=256), LogisticRegression()),
    ],
    ids=lambda model: "+".join(model.named_steps),
)
def test_text_pipelines(model) -> None:
    labels = np.array(["even", "odd", "third"])[[i % 3 for i in range(len(DOCUMENTS))]]
    description = assert_same(model.fit(DOCUMENTS, labels), DOCUMENTS)
    assert [spec.name for spec in description.signature.inputs] == ["text"]


def test_a_column_of_text_beside_numbers() -> None:
    table = pd.DataFrame(
        {"Länge": np.arange(len(DOCUMENTS)) * 1.5, "notes": DOCUMENTS, "title": DOCUMENTS[::-1]}
    )
    columns = ColumnTransformer(
        [
            ("n", StandardScaler(), ["Länge"]),
            ("t", TfidfVectorizer(), "notes"),
            ("u", CountVectorizer(), "title"),
        ]
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=500)).fit(table, table["Länge"] > 20)
    description = assert_same(model, table)
    assert [spec.dtype for spec in description.signature.inputs] == ["float64", "string", "string"]


def shout(text: str) -> str:
    return text + "!"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"tokenizer": shout, "token_pattern": None}, "tokenizer .*shout"),
        ({"preprocessor": shout}, "preprocessor .*shout"),
        ({"analyzer": shout}, "analyzer .*shout"),
        ({"strip_accents": shout}, "strip_accents .*shout"),
        ({"token_pattern": r"\w+?x"}, "lazy"),
        ({"token_pattern": r"[a-z ]+", "ngram_range": (1, 2)}, "blanks"),
    ],
)
def test_functions_and_patterns_of_ones_own_are_refused_by_name(options, reason) -> None:
    vectorizer = CountVectorizer(**options).fit(DOCUMENTS)
    with pytest.raises(UnsupportedModelError, match=reason) as refusal:
        SklearnConverter().convert(vectorizer, request())
    assert refusal.value.hint


def test_lowering_depends_on_no_locale_of_the_machine() -> None:
    model = SklearnConverter().convert(TfidfVectorizer().fit(ENGLISH), request())
    assert "StringNormalizer" not in {node.op_type for node in model.graph.node}
