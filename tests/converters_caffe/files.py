"""Caffe models written by the tests: a network as text, and weights as the bytes that Caffe would write."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

EVERYTHING = """
name: "everything"
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 15 dim: 13 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 6 kernel_size: 3 pad: 1 stride: 1 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" batch_norm_param { eps: 1e-3 } }
layer { name: "sc" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" relu_param { negative_slope: 0.1 } }
layer { name: "norm" type: "LRN" bottom: "conv" top: "norm"
        lrn_param { local_size: 3 alpha: 0.1 beta: 0.75 } }
layer { name: "max" type: "Pooling" bottom: "norm" top: "max"
        pooling_param { pool: MAX kernel_size: 3 stride: 2 } }
layer { name: "ave" type: "Pooling" bottom: "conv" top: "ave"
        pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "dw" type: "Convolution" bottom: "ave" top: "dw"
        convolution_param { num_output: 6 kernel_size: 3 pad: 2 dilation: 2 group: 6 bias_term: false } }
layer { name: "prelu" type: "PReLU" bottom: "dw" top: "prelu" }
layer { name: "small" type: "Pooling" bottom: "prelu" top: "small"
        pooling_param { pool: MAX kernel_size: 2 stride: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "max" bottom: "small" top: "sum"
        eltwise_param { operation: SUM coeff: 1 coeff: -0.5 } }
layer { name: "cat" type: "Concat" bottom: "sum" bottom: "max" top: "cat" }
layer { name: "cut" type: "Slice" bottom: "cat" top: "left" top: "right"
        slice_param { axis: 1 slice_point: 5 } }
layer { name: "up" type: "Deconvolution" bottom: "left" top: "up"
        convolution_param { num_output: 4 kernel_size: 4 stride: 2 pad: 1 } }
layer { name: "sig" type: "Sigmoid" bottom: "up" top: "up" }
layer { name: "tanh" type: "TanH" bottom: "right" top: "right" }
layer { name: "power" type: "Power" bottom: "right" top: "power"
        power_param { power: 2 scale: 0.5 shift: 1 } }
layer { name: "perm" type: "Permute" bottom: "power" top: "perm"
        permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "flat" type: "Flatten" bottom: "perm" top: "flat" }
layer { name: "fc" type: "InnerProduct" bottom: "flat" top: "fc" inner_product_param { num_output: 5 } }
layer { name: "drop" type: "Dropout" bottom: "fc" top: "fc" dropout_param { dropout_ratio: 0.5 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""


def everything(folder: Path) -> Path:
    """Both files of a network with most kinds of layers, and with pooling whose windows do not fit."""
    random = np.random.default_rng(0)

    def some(*shape: int) -> Array:
        return random.normal(size=shape).astype(np.float32) * np.float32(0.3)

    blobs = {
        "conv": [some(6, 3, 3, 3), some(6)],
        "bn": [some(6), np.abs(some(6)) + 0.5, np.array([2.0], dtype=np.float32)],
        "sc": [some(6) + 1, some(6)],
        "dw": [some(6, 1, 3, 3)],
        "prelu": [np.abs(some(6))],
        "up": [some(5, 4, 4, 4), some(4)],
        "fc": [some(5, 7 * 7 * 6) * np.float32(0.1), some(5)],
    }
    return written(folder, EVERYTHING, blobs)


def written(folder: Path, text: str, blobs: dict[str, list[Array]], name: str = "net") -> Path:
    """``net.prototxt`` and ``net.caffemodel``; gives the latter."""
    (folder / f"{name}.prototxt").write_text(text, encoding="utf-8")
    layers = [
        _field(100, _field(1, key.encode()) + _field(2, b"?") + _all(values)) for key, values in blobs.items()
    ]
    (folder / f"{name}.caffemodel").write_bytes(_field(1, b"net") + b"".join(layers))
    return folder / f"{name}.caffemodel"


def _all(blobs: list[Array]) -> bytes:
    return b"".join(_field(7, _blob(blob)) for blob in blobs)


def _blob(array: Array) -> bytes:
    dims = b"".join(_varint(size) for size in array.shape)
    return _field(7, _field(1, dims)) + _field(5, struct.pack(f"<{array.size}f", *array.ravel()))


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    data = bytearray()
    while True:
        data.append((value & 0x7F) | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(data)


def old_style(folder: Path, blob: Any) -> Path:
    """A model of before 2014: layers by enum, input_dim, and weights of four axes each."""
    text = """
    input: "data" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 3
    layers { bottom: "data" top: "fc" name: "fc" type: INNER_PRODUCT inner_product_param { num_output: 4 } }
    layers { bottom: "fc" top: "fc" name: "r" type: RELU }
    """
    (folder / "old.prototxt").write_text(text, encoding="utf-8")
    parts = [_old_blob(blob[0], (1, 1, 4, 18)), _old_blob(blob[1], (1, 1, 1, 4))]
    layer = _field(4, b"fc") + b"\x28\x0e" + b"".join(_field(6, part) for part in parts)
    (folder / "old.caffemodel").write_bytes(_field(2, layer))
    return folder / "old.prototxt"


def _old_blob(array: Array, shape: tuple[int, int, int, int]) -> bytes:
    dims = b"".join(_varint(i << 3) + _varint(size) for i, size in enumerate(shape, 1))
    return dims + _field(5, array.tobytes())
