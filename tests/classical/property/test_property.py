"""A few hundred drawn models: each answers as its source does, or is refused."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from onnx import numpy_helper
from sklearn.tree import DecisionTreeClassifier

from tests.classical.harness import families, feeds_of, request, session_of
from tests.classical.property.draws import Draw, draws
from tests.classical.property.judge import compared, verdict
from tests.classical.property.unsteady import Source
from zoo.plugins import converter

GOOD = ("same", "refused", "rounding")


@settings(
    max_examples=200,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
@given(draws())
def test_a_drawn_model_answers_as_its_source_or_is_refused(draw: Draw) -> None:
    found = verdict(draw)
    assume(found.kind != "unfit")
    assert found.kind in GOOD, f"{found.kind}: {found.why}"


@pytest.fixture
def tree() -> DecisionTreeClassifier:
    X = np.random.default_rng(0).normal(size=(60, 2)).round(2)
    return DecisionTreeClassifier(max_depth=3, random_state=0).fit(X, X[:, 0] > X[:, 1])


def _verdict(tree: DecisionTreeClassifier, graph: onnx.ModelProto) -> str:
    source = Source(converter("sklearn"), tree)
    description = source.converter.describe(tree, request())
    given_rows = feeds_of(description, np.random.default_rng(1).normal(size=(20, 2)))
    return compared(session_of(graph), source, families(description, given_rows)).kind


def test_the_judge_accepts_a_tree_as_converted(tree: DecisionTreeClassifier) -> None:
    assert _verdict(tree, converter("sklearn").convert(tree, request())) == "same"


def test_the_judge_finds_a_threshold_that_is_one_ulp_off(tree: DecisionTreeClassifier) -> None:
    graph = converter("sklearn").convert(tree, request())
    node = next(node for node in graph.graph.node if node.op_type == "TreeEnsemble")
    splits = next(attribute for attribute in node.attribute if attribute.name == "nodes_splits")
    values = numpy_helper.to_array(splits.t)
    splits.t.CopyFrom(numpy_helper.from_array(np.nextafter(values, values.dtype.type(np.inf)), "splits"))
    assert _verdict(tree, graph) == "wrong"
