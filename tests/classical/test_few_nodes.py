"""Graphs of few nodes: for one row each costs about as much as the arithmetic in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from converters.classical.branches import branch
from converters.classical.graph import Graph
from tests.classical.harness import request, run, session_of


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
