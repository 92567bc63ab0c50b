"""Models that others converted, against the source that their authors published beside them."""

from __future__ import annotations

import pytest

import zoo
from zoo.fetchers import fetch
from zoo.records import FileSpec
from zoo.store import Store

pytestmark = [pytest.mark.network, pytest.mark.slow]
DATA = "pypi:silero-vad==6.2.3/silero_vad-6.2.3-py3-none-any.whl!silero_vad/data/"
DIGESTS = {
    "silero_vad.jit": "e1122837f4154c511485fe0b9c64455f7b929c96fbb8d79fbdb336383ebd3720",
    "silero_vad.onnx": "1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
    "silero_vad_16k_op15.onnx": "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49",
    "silero_vad_op18_ifless.onnx": "7671cd04b004e9076da0d4a7b1a5aec36adf161c39230c1cb94a4fd5db6bbd28",
    "silero_vad_half.onnx": "1e0b195ad4806595ef4466f419d16fca7e4afcfc6669b8c0b5f76ea87547c769",
    "silero_vad_openvino_16k.onnx": "7776b81ad1b0350c15d7f1555943b9232eb53e9ca5d989c6d0cea9ebc8664d87",
}
RATE = {"sr": 16000}


@pytest.fixture
def silero(tmp_path):
    """Brings a file of the package; its path."""

    def brought(name):
        spec = FileSpec(name, DIGESTS[name], None, (DATA + name,))
        path = tmp_path / name
        path.write_bytes(fetch(spec, Store.open()).path.read_bytes())
        return path

    return brought


def verified(silero, name, constants=None, batch="batch"):
    options = {
        "submodule": "_model",
        "feeds": {"x": {"low": -1.0, "high": 1.0}, "state": {"low": -1.0, "high": 1.0}},
    }
    inputs = [f"x:float32[{batch},576]", f"state:float32[2,{batch},128]"]
    source = silero("silero_vad.jit")
    return zoo.verify(silero(name), source, input=inputs, options=options, constants=constants, trust=True)


@pytest.mark.parametrize(
    ("name", "constants"),
    [
        ("silero_vad.onnx", RATE),
        ("silero_vad_16k_op15.onnx", RATE),
        ("silero_vad_op18_ifless.onnx", RATE),
    ],
)
def test_the_variants_that_compute_the_same_are_verified(silero, name, constants):
    report = verified(silero, name, constants)
    assert report.passed, zoo.verification.report.text(report)


def test_the_variant_with_rounded_weights_is_rejected(silero):
    assert verified(silero, "silero_vad_half.onnx").verdict == "mismatch"


def test_a_frozen_batch_is_rejected_unless_that_batch_is_asked_for(silero):
    name = "silero_vad_openvino_16k.onnx"
    assert verified(silero, name).verdict == "mismatch"
    assert verified(silero, name, batch=1).passed
