"""Graphs of few nodes: for one row each costs about as much as the arithmetic in it."""

from __future__ import annotations

from string import ascii_uppercase
from typing import Any

import numpy as np
import pytest
from sklearn import ensemble, linear_model, neural_network, tree
from sklearn.feature_extraction.text import TfidfVectorizer

from converters.classical import idioms
from converters.classical.branches import branch
from converters.classical.families import text_steps
from converters.classical.families.text_tables import every_character
from converters.classical.graph import Graph
from tests.classical.harness import Options, assert_same, request, run, session_of
from zoo.records import TensorSpec


def nodes_of(model: Any) -> list[str]:
    """The operators of a model's graph, in order."""
    from converters.from_sklearn import SklearnConverter

    return [node.op_type for node in SklearnConverter().convert(model, request()).graph.node]


def numbers(values: list[float]) -> dict[str, np.ndarray]:
    return {"x": np.array(values)[:, None]}


def test_an_output_that_another_step_reads_has_no_identity_behind_it():
    graph = Graph()
    x = graph.input("x", "float64", ("n", 1))
    exps = graph.op("Exp", x)
    graph.output("exps", exps, ("n", 1))
    graph.output("more", graph.add(exps, 1.0), ("n", 1))
    made = graph.build()
    assert [node.op_type for node in made.graph.node] == ["Exp", "Add"]
    assert run(session_of(made), numbers([0.0]))["more"] == 2.0


def test_an_input_or_a_value_that_is_given_twice_is_an_output_all_the_same():
    graph = Graph()
    x = graph.input("x", "float64", ("n", 1))
    exps = graph.op("Exp", x)
    for name, value in (("same", x), ("first", exps), ("second", exps)):
        graph.output(name, value, ("n", 1))
    found = run(session_of(graph.build()), numbers([0.0, 1.0]))
    assert np.array_equal(found["same"][:, 0], [0.0, 1.0])
    assert np.array_equal(found["first"], found["second"])


def test_a_value_that_a_branch_reads_is_an_output_too():
    graph = Graph()
    x = graph.input("x", "float64", ("n", 1))
    exps, positive = graph.op("Exp", x), graph.greater(graph.op("ReduceSum", x, keepdims=0), 0.0)
    graph.output("exps", exps, ("n", 1))
    picked = branch(graph, positive, lambda: [graph.add(exps, 1.0)], lambda: [exps])
    graph.output("picked", picked[0], ("n", 1))
    session = session_of(graph.build())
    assert run(session, numbers([0.0]))["picked"] == 1.0
    assert run(session, numbers([1.0]))["picked"] == np.exp(1.0) + 1


def drawn(classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, 5))
    score = rows[:, 0] - rows[:, 1] ** 2 + rng.normal(size=300)
    return rows, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes))


MOST = {
    "LogisticRegression": (linear_model.LogisticRegression(), 3, 3),
    "MLP": (neural_network.MLPClassifier(4, max_iter=500, tol=1e-2), 3, 5),
    "tree": (tree.DecisionTreeClassifier(max_depth=4), 2, 4),
    "tree, 3 classes": (tree.DecisionTreeClassifier(max_depth=4), 3, 4),
    "pure tree": (tree.DecisionTreeClassifier(), 2, 3),
    "pure forest": (ensemble.RandomForestClassifier(9, bootstrap=False), 2, 4),
    "pure forest, 3 classes": (ensemble.RandomForestClassifier(9), 3, 3),
    "gradient boosting": (ensemble.GradientBoostingClassifier(n_estimators=5), 2, 4),
    "exponential loss": (ensemble.GradientBoostingClassifier(n_estimators=5, loss="exponential"), 2, 4),
    "gradient boosting, 3 classes": (ensemble.GradientBoostingClassifier(n_estimators=5), 3, 6),
    "histograms": (ensemble.HistGradientBoostingClassifier(max_iter=5), 2, 4),
    "histograms, 3 classes": (ensemble.HistGradientBoostingClassifier(max_iter=5), 3, 6),
}


@pytest.mark.parametrize("name", MOST)
def test_a_classifier_is_right_in_few_nodes(name):
    kind, classes, most = MOST[name]
    rows, labels = drawn(classes)
    model = kind.set_params(random_state=0).fit(rows, labels)
    assert_same(model, rows)
    assert len(nodes_of(model)) <= most, nodes_of(model)


@pytest.mark.parametrize(
    "kind", [ensemble.GradientBoostingClassifier, ensemble.HistGradientBoostingClassifier]
)
def test_a_score_of_zero_gets_the_label_that_the_source_gives_it(kind):
    model = kind().fit(np.zeros((40, 1)), np.arange(40) % 2)
    assert model.decision_function([[0.0]])[0] == 0
    assert_same(model, np.zeros((3, 1)))


def test_classes_that_are_equally_likely_in_a_tree_get_the_first_label():
    rows, labels = np.array([[0.0], [0.0], [1.0]]), np.array(["b", "a", "b"])
    assert_same(tree.DecisionTreeClassifier().fit(rows, labels), rows)


@pytest.mark.parametrize("value", [2**24 + 1, 2**53 + 2**29 + 1, -(2**53) - 2**29 - 1])
def test_whole_numbers_are_rounded_once_before_a_tree_compares_them(value):
    near = np.array([[value - 2**30], [value - 1], [value], [value + 1], [value + 2**30]])
    model = tree.DecisionTreeRegressor().fit(near, np.arange(5.0))
    inputs = (TensorSpec("X", "int64", ("batch", 1)),)
    assert_same(model, near, Options(inputs=inputs, skip=("large",)))  # beyond the largest integer


def test_probabilities_that_another_step_reads_keep_their_bits():
    rows, labels = drawn()
    model = ensemble.StackingClassifier(
        [("boosted", ensemble.GradientBoostingClassifier(n_estimators=5))], tree.DecisionTreeClassifier()
    ).fit(rows, labels)
    assert "Softmax" not in nodes_of(model)
    assert_same(model, rows)


TEXTS = ["Every House has MANY doors", "no door", "", "a HOUSE, a door: Doors!"]


@pytest.mark.parametrize("texts", [TEXTS, [*TEXTS, "ÉVERY house ΟΔΟΣ"], ["", "-"], ["no door"]])
@pytest.mark.parametrize("accents", [None, "unicode", "ascii"])
def test_texts_are_lowered_alike_with_and_without_letters_beyond_ascii(texts, accents):
    model = TfidfVectorizer(strip_accents=accents).fit([*TEXTS, "évery οδος every"])
    assert_same(model, texts, Options(skip=("texts",)))
    assert len(nodes_of(model)) <= 12


def test_the_label_of_xgboost_turns_right_above_one_half():
    """Probabilities next to 0.5, the last ones below and the first ones above."""
    half = np.float32(0.5)
    p = np.array(
        [0.0, np.nextafter(half, np.float32(0)), half, np.nextafter(half, np.float32(1)), 1.0], "float32"
    )
    graph = Graph()
    given = graph.input("x", "float32", ("n", 1))
    graph.output("label", idioms.argmax(graph, idioms.two_columns(graph, given)), ("n",))
    assert np.array_equal(run(session_of(graph.build()), {"x": p[:, None]})["label"], p > half)


def test_in_the_locale_c_nothing_but_ascii_is_lowered():
    graph = Graph()
    text = graph.input("x", "string", ("n",))
    graph.output("lower", text_steps.lowered(graph, text), ("n",))
    every = np.array(list(every_character()), dtype=object)
    lower = run(session_of(graph.build()), {"x": every})["lower"]
    assert [a for a, b in zip(every, lower, strict=True) if a != b] == list(ascii_uppercase)
    assert all(b == a.lower() for a, b in zip(every, lower, strict=True) if a != b)
