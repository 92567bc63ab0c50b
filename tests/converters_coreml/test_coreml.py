"""Core ML's neural networks compute in ONNX what numpy computes from their specification."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import zoo
from zoo.errors import UnsupportedFileError, UnsupportedModelError

pytestmark = pytest.mark.network


def test_a_network_is_verified_at_every_batch_size_and_says_what_the_reference_is(model, tmp_path):
    verified = zoo.convert(model("network"), tmp_path / "o.onnx")

    found = {case.case.name for case in verified.report.cases if case.outputs}
    assert verified.report.verdict == "verified"
    assert {"typical-1", "typical-2", "typical-7"} <= found
    assert verified.report.reference.startswith("numpy's evaluation of the Core ML specification")
    assert any("Core ML itself did not answer" in note for note in verified.report.notes)
    assert verified.model.signature.outputs[0].shape == ("batch", 4)


def test_a_classifier_gives_its_own_labels(model, tmp_path):
    verified = zoo.convert(model("named"), tmp_path / "o.onnx")

    session = onnxruntime.InferenceSession(verified.path, providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).normal(size=(5, 3, 11, 11)).astype(np.float32)
    chances, labels = session.run(["prob", "classLabel"], {"image": image})
    assert verified.report.passed
    assert labels.tolist() == np.array(["ant", "bee", "cat", "dog"])[chances.argmax(axis=1)].tolist()


def test_an_images_scale_and_biases_are_part_of_the_graph(model, tmp_path):
    verified = zoo.convert(model("numbered"), tmp_path / "o.onnx")
    plain = zoo.convert(model("network"), tmp_path / "p.onnx")

    image = np.random.default_rng(0).integers(0, 256, size=(2, 3, 11, 11)).astype(np.float32)
    by_hand = image / 127.5 + np.array([-1.0, -0.5, 0.25], dtype=np.float32).reshape(1, 3, 1, 1)
    assert verified.report.passed
    assert np.allclose(run(verified.path, image), run(plain.path, by_hand), atol=1e-5)


def run(path, image):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["prob"], {"image": image.astype(np.float32)})[0]


def test_what_cannot_be_said_is_named(model, tmp_path):
    with pytest.raises(UnsupportedModelError, match=r"layer 'odd' .*PReLU is not converted"):
        zoo.convert(model("prelu"), tmp_path / "o.onnx")


def test_a_damaged_file_is_refused(model, tmp_path):
    (tmp_path / "cut.mlmodel").write_bytes(model("network").read_bytes()[:-200])

    with pytest.raises(UnsupportedFileError):
        zoo.convert(tmp_path / "cut.mlmodel", tmp_path / "o.onnx", framework="coreml")
