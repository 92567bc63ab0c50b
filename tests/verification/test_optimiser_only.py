"""int8 graphs that only ONNX Runtime's optimiser changes: verified without it, and said to be."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.verification.planted.harness import Subject
from zoo.records import Signature, SourceDescription, TensorSpec
from zoo.verification import report as reports
from zoo.verification.certificate import CertifiedSource, Feeds, certify, dumps, loads
from zoo.verification.inspection import inspect
from zoo.verification.runtime import Session

SPEC = TensorSpec("x", "float32", ("batch", 8))
OUTPUT = TensorSpec("y", "float32", ("batch", 8))


@lru_cache(maxsize=None)
def twice_quantised(coarse: float = 1.0, fine: float = 0.04) -> onnx.ModelProto:
    """Two pairs of QuantizeLinear and DequantizeLinear, which the optimiser makes one pair of."""
    values = {"coarse": np.float32(coarse), "fine": np.float32(fine), "zero": np.int8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "coarse", "zero"], ["a"]),
        helper.make_node("DequantizeLinear", ["a", "coarse", "zero"], ["b"]),
        helper.make_node("QuantizeLinear", ["b", "fine", "zero"], ["c"]),
        helper.make_node("DequantizeLinear", ["c", "fine", "zero"], ["y"]),
    ]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 8]) for name in "xy"]
    stored = [numpy_helper.from_array(np.asarray(value), name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "twice", ends[:1], ends[1:], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class AsWritten:
    """The source: the graph as it is written."""

    framework = "onnx"

    def __init__(self, notes):
        self._notes = notes
        self._session = Session(twice_quantised().SerializeToString(), optimisation="none")

    def describe(self, model, request):
        return SourceDescription(Signature((SPEC,), (OUTPUT,)), versions={"onnx": "1"}, notes=self._notes)

    def predict(self, model, feeds):
        return self._session.run(feeds)


QUANTISED = ("tolerance class quantised: it computes in int8",)


@pytest.fixture(scope="module")
def proof(tmp_path_factory):
    subject = Subject(AsWritten(QUANTISED), None, tmp_path_factory.mktemp("twice"))
    return subject, subject.judge(twice_quantised())


def test_what_the_optimiser_alone_changes_is_verified_without_it(proof):
    report = proof[1]
    assert report.verdict == "verified"
    assert (report.tolerance_class, report.optimisation) == ("quantised", "none")
    assert any("ORT_DISABLE_ALL" in note for note in report.notes)
    assert any(note.startswith("at fault: ONNX Runtime's optimiser") for note in report.notes)


def test_a_model_in_float_has_no_such_way_out(tmp_path):
    report = Subject(AsWritten(()), None, tmp_path).judge(twice_quantised())
    assert (report.verdict, report.optimisation, report.tolerance_class) == ("mismatch", "all", None)


def test_a_graph_that_is_wrong_without_the_optimiser_too_is_a_mismatch(proof):
    report = proof[0].judge(twice_quantised(coarse=2.0))
    assert (report.verdict, report.optimisation) == ("mismatch", "all")


def test_report_and_certificate_say_the_class_and_that_the_optimiser_must_be_off(proof):
    subject, report = proof
    path = subject.folder / "model.onnx"
    onnx.save(twice_quantised(), str(path))
    source = CertifiedSource("onnx", "model", "ab" * 32, "converters.from_onnx:OnnxConverter", {"onnx": "1"})
    certificate = certify(inspect(path), source, report, Feeds(subject.cases, subject.folder))
    assert loads(dumps(certificate)) == certificate
    assert (certificate.proof.tolerance_class, certificate.proof.optimisation) == ("quantised", "none")
    assert all(output.basis == "quantised" for output in certificate.proof.outputs)
    assert "quantised" in reports.text(report)
    assert "ORT_DISABLE_ALL" in reports.text(report)
