"""Caffe's networks compute in ONNX what OpenCV computes with them."""

from __future__ import annotations

import numpy as np
import pytest

import zoo
from converters import caffe_files, caffe_graph, caffe_layers
from tests.converters_caffe.files import EVERYTHING, everything, old_style, written
from zoo.errors import MissingInputError, UnsupportedFileError, UnsupportedModelError

INPUT = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 4 dim: 4 } } }
"""
LOSS = 'layer { name: "l" type: "SoftmaxWithLoss" bottom: "fc" top: "l" include { phase: TRAIN } }'


@pytest.mark.network
def test_most_kinds_of_layers_are_verified_at_every_batch_size(environment, tmp_path):
    environment("caffe")

    verified = zoo.convert(everything(tmp_path), tmp_path / "o.onnx")

    found = {case.case.name for case in verified.report.cases if case.outputs}
    shapes = {spec.name: spec.shape for spec in verified.model.signature.outputs}
    assert verified.report.verdict == "verified"
    assert {"typical-1", "typical-2", "typical-7"} <= found
    assert shapes == {"up": ("batch", 4, 14, 12), "prob": ("batch", 5)}
    assert verified.report.reference.startswith("OpenCV's Caffe 4.")


@pytest.mark.network
def test_files_of_the_first_generation_are_read_by_their_network(environment, tmp_path):
    environment("caffe")
    random = np.random.default_rng(1)
    blobs = [random.normal(size=shape).astype(np.float32) for shape in ((4, 18), (4,))]

    verified = zoo.convert(old_style(tmp_path, blobs), tmp_path / "o.onnx")

    assert verified.report.passed
    assert verified.model.signature.inputs[0].shape == ("batch", 2, 3, 3)


@pytest.mark.network
def test_a_batch_that_a_reshape_states_stays_fixed_and_is_told(environment, tmp_path):
    environment("caffe")
    text = INPUT + (
        'layer { name: "r" type: "Reshape" bottom: "data" top: "r" '
        "reshape_param { shape { dim: 1 dim: -1 dim: 2 } } }"
    )

    path = written(tmp_path, text, {"unused": [np.zeros(1, dtype=np.float32)]})

    verified = zoo.convert(path, tmp_path / "o.onnx")

    assert verified.report.passed
    assert verified.model.signature.outputs[0].shape == (1, 16, 2)
    assert any("states the size of the batch" in note for note in verified.report.notes)


@pytest.mark.network
def test_half_of_a_model_asks_for_the_other(environment, tmp_path):
    environment("caffe")
    path = everything(tmp_path)
    (tmp_path / "net.prototxt").rename(tmp_path / "other.txt")

    with pytest.raises(MissingInputError, match=r"no net\.prototxt or deploy\.prototxt beside it") as caught:
        zoo.convert(path, tmp_path / "o.onnx")
    verified = zoo.convert(path, tmp_path / "o.onnx", options={"network": "other.txt"})

    assert "--option network=FILE" in caught.value.hint
    assert verified.report.passed


# --- the parsers ------------------------------------------------------------------------------------


def test_layers_of_the_training_phase_are_left_out(tmp_path):
    (tmp_path / "n.prototxt").write_text(EVERYTHING + LOSS)

    inputs, layers = caffe_files.network(tmp_path / "n.prototxt")

    assert inputs == {"data": (1, 3, 15, 13)}
    assert [layer.kind for layer in layers][-2:] == ["Dropout", "Softmax"]


def test_blobs_keep_their_shape_and_numbers(tmp_path):
    blob = np.arange(6, dtype=np.float32).reshape(2, 3)
    path = written(tmp_path, INPUT, {"fc": [blob]})

    assert np.array_equal(caffe_files.weights(path)["fc"][0], blob)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("layer { name: 'a' ", "'layer' is not closed"),
        ("layer { name: @ }", "line 1 has '@ }'"),
        ("layer { } }", "an unexpected"),
        ("a { " * 40 + "}" * 40, "nested too deeply"),
        ('layer { name: "d" type: "Convolution" bottom: "x" top: "y" }', "no input with a shape"),
    ],
)
def test_a_text_that_is_no_network_is_refused(text, reason, tmp_path):
    (tmp_path / "n.prototxt").write_text(text)

    with pytest.raises(UnsupportedFileError, match=reason):
        caffe_files.network(tmp_path / "n.prototxt")


@pytest.mark.parametrize("cut", [1, 10, 50])
def test_weights_that_end_early_are_refused(cut, tmp_path):
    path = everything(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])

    with pytest.raises(UnsupportedFileError, match="damaged caffemodel"):
        caffe_files.weights(path)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ('type: "Pooling" pooling_param { pool: STOCHASTIC kernel_size: 2 }', "STOCHASTIC pooling"),
        ('type: "LRN" lrn_param { norm_region: WITHIN_CHANNEL }', "within a channel"),
        ('type: "LRN" lrn_param { k: 2 }', "OpenCV, the reference, ignores k"),
        ('type: "BatchNorm" batch_norm_param { use_global_stats: false }', "statistics of the batch"),
        ('type: "Convolution" convolution_param { num_output: 2 kernel_size: 1 }', "has 0 blobs for it"),
        ('type: "DetectionOutput"', "this kind of layer is not converted"),
        ('type: "SoftmaxWithLoss"', "belongs to training"),
    ],
)
def test_a_layer_that_cannot_be_said_is_named(layer, reason, tmp_path):
    (tmp_path / "n.prototxt").write_text(INPUT + f'layer {{ name: "odd" bottom: "data" top: "y" {layer} }}')
    inputs, layers = caffe_files.network(tmp_path / "n.prototxt")

    with pytest.raises(UnsupportedModelError, match=f"layer 'odd'.*{reason}"):
        caffe_layers.write(caffe_graph.Net(inputs), layers)


def test_weights_of_another_network_are_refused(tmp_path):
    text = INPUT + (
        'layer { name: "c" type: "Convolution" bottom: "data" top: "y" '
        "convolution_param { num_output: 3 kernel_size: 3 bias_term: false } }"
    )
    path = written(tmp_path, text, {"c": [np.zeros((3, 1, 3, 3), dtype=np.float32)]})
    inputs, layers = caffe_files.network(path.with_suffix(".prototxt"))
    layers = [caffe_files.Layer(*_fields(layer), blobs=caffe_files.weights(path)["c"]) for layer in layers]

    with pytest.raises(UnsupportedModelError, match="parameters and weights do not fit"):
        caffe_layers.write(caffe_graph.Net(inputs), layers)


def _fields(layer: caffe_files.Layer) -> tuple[object, ...]:
    return layer.name, layer.kind, layer.bottoms, layer.tops, layer.parameters
