"""Every planted fault is caught; no honest conversion is rejected."""

from __future__ import annotations

import pytest

from tests.verification.planted.suite import entries, planted, prepared

FAULTS = [(entry.name, fault.__name__) for entry in entries() for fault in entry.faults]
HONEST = [entry.name for entry in entries() if entry.upstream is None]
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
