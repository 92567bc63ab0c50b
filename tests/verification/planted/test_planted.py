"""Every planted fault is caught; no honest conversion is rejected."""

from __future__ import annotations

import pytest

from tests.verification.planted.independent import judged
from tests.verification.planted.suite import entries, planted, prepared
from zoo.tensors import load_tensors
from zoo.verification.bisection import bisect, failing_case, taps_from


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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "kinds", "layer"),
    [
        ("wrong_epsilon_in_batch_norm", {"Conv"}, "first"),
        ("padding_off_by_one", {"Conv"}, "second"),
        ("slope_of_leaky_relu_lost", {"LeakyRelu"}, "leaky"),
    ],
)
def test_a_fault_in_a_keras_model_is_located_in_its_layer(fault, kinds, layer):
    subject, _ = prepared("photo")
    graph = planted("photo", fault)
    case = failing_case(subject.judge(graph))
    number = next(file.number for file in subject.cases.cases if file.case == case)
    feeds = load_tensors(subject.folder / "feeds" / f"{number:03d}.npz")
    expected = load_tensors(subject.folder / "outputs" / f"{number:03d}.npz")
    found = bisect(graph, feeds, taps_from(subject.converter.layers(subject.model, feeds)), expected)
    assert found.op_type in kinds
    assert found.layer == layer
