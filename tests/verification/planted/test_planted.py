"""Every planted fault is caught; no honest conversion is rejected."""

from __future__ import annotations

import re

import pytest

from tests.verification.planted.edits import changed_nodes
from tests.verification.planted.independent import judged
from tests.verification.planted.suite import entries, planted, prepared
from zoo.verification.bisection import failing_case


def marked(entry, *values):
    """Models that need TensorFlow are slow."""
    slow = [pytest.mark.slow] if entry.framework in ("Keras", "TensorFlow Lite") else []
    return pytest.param(*values, marks=slow)


FAULTS = [marked(entry, entry.name, fault.__name__) for entry in entries() for fault in entry.faults]
HONEST = [marked(entry, entry.name) for entry in entries() if entry.upstream is None]
UPSTREAM = [entry.name for entry in entries() if entry.upstream is not None]
pytestmark = pytest.mark.filterwarnings(
    "ignore:.*:DeprecationWarning", "ignore:.*:FutureWarning", "ignore:Statistics for quantized inputs"
)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_conversion_is_verified(name):
    subject, graph = prepared(name)
    report = subject.judge(graph)
    assert report.verdict == "verified", report


@pytest.mark.parametrize(("name", "fault"), FAULTS)
def test_a_planted_fault_is_caught(name, fault):
    assert prepared(name)[0].judge(planted(name, fault)).verdict == "mismatch"


@pytest.mark.parametrize("name", UPSTREAM)
def test_a_conversion_that_is_wrong_as_it_comes_is_caught(name):
    subject, graph = prepared(name)
    assert subject.judge(graph).verdict == "mismatch"


def test_a_random_graph_is_blamed_on_itself():
    report = prepared("text")[0].judge(planted("text", "dropout_in_training_mode"))
    assert any("only right once ONNX Runtime's optimiser has changed it" in note for note in report.notes)


def test_a_fault_of_the_converter_is_blamed_on_it():
    report = prepared("poisson")[0].judge(planted("poisson", "link_lost"))
    assert any("at fault: the converter" in note for note in report.notes)


@pytest.mark.slow
@pytest.mark.parametrize("number", [200, 201, 202])
def test_a_random_model_is_verified_and_a_random_fault_in_it_caught(number):
    honest, wrong = judged(number, faults=1)
    assert not honest.wrong, honest
    assert not wrong.wrong, wrong


LOCATED = {
    "image": {
        "weight_off_by_a_thousandth": "second",
        "slope_of_leaky_relu_lost": "second",
        "stale_initializer": "head",
    },
    "text": {"wrong_epsilon_in_layer_norm": "norm", "dropout_in_training_mode": "head"},
    "photo": {
        "weight_off_by_a_thousandth": "second",
        "wrong_epsilon_in_batch_norm": "first",
        "padding_off_by_one": "second",
        "slope_of_leaky_relu_lost": "leaky",
    },
    "lite": {
        "weight_off_by_a_thousandth": "functional_1_1/second_1/convolution1",
        "padding_off_by_one": "functional_1_1/second_1/convolution1",
        "slope_of_leaky_relu_lost": "functional_1_1/leaky_1/LeakyRelu",
    },
    "lite_int8": {
        "quantised_weights_shifted": "functional_1_1/second_1/convolution1",
        "scale_of_the_output_off_by_a_tenth": None,
    },
    "forest": {
        "threshold_rounded_up": None,
        "less_for_less_or_equal": None,
        "leaf_off_by_a_thousandth": None,
        "labels_exchanged": None,
    },
    "forest_with_nan": {"nan_sent_to_the_wrong_leaf": None, "threshold_rounded_up": None},
    "logistic": {"coefficient_off_by_a_thousandth": None, "intercept_lost": None},
    "poisson": {"link_lost": None},
    "discriminant": {"sigmoid_of_twice_the_score": None},
}
"""The layer of the source that holds the fault; None for a source of one layer, where the node is all."""
ENTRIES = {entry.name: entry for entry in entries()}


@pytest.mark.parametrize(
    ("name", "fault", "layer"),
    [marked(ENTRIES[name], name, *found) for name, faults in LOCATED.items() for found in faults.items()],
)
def test_a_planted_fault_is_located(name, fault, layer):
    subject, honest = prepared(name)
    wrong = planted(name, fault)
    found = subject.locate(wrong, failing_case(subject.judge(wrong)))
    assert found.node in changed_nodes(honest, wrong), found
    assert layer is None or _without_number(found.layer) == _without_number(layer)


def _without_number(layer):
    """Keras numbers its models: the second of a process is `functional_2`."""
    return re.sub(r"functional_\d+_\d+", "functional", layer)
