"""EfficientNet-Lite image classifiers, keys as in the ``efficientnet-lite*.pth`` checkpoints.

Architecture: https://arxiv.org/abs/1905.11946 (EfficientNet), and for Lite
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite: no squeeze and
excitation, ReLU6 in place of swish, stem and head not scaled.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from zoo.records import TensorSpec

# Expansion, channels, repeats, stride, kernel of each stage of the base network.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
# Width and depth factors and the side of the image.
_VARIANTS = {
    "lite0": (1.0, 1.0, 224),
    "lite1": (1.0, 1.1, 240),
    "lite2": (1.1, 1.2, 260),
    "lite3": (1.2, 1.4, 280),
    "lite4": (1.4, 1.8, 300),
}


def efficientnet_lite(variant: str = "lite0", classes: int = 1000) -> nn.Module:
    """The network of a variant ``lite0`` … ``lite4``.

    float32 [batch, 3, side, side], pixels as (value − 127) / 128 → logits [batch, classes].
    Raises KeyError for another variant.
    """
    return EfficientNetLite(*_VARIANTS[variant], classes=classes)


class SameConv2d(nn.Conv2d):
    """A convolution padded as TensorFlow pads: where the padding is odd, the larger half is at the end."""

    def __init__(self, channels: int, filters: int, kernel: int, **options: Any) -> None:
        super().__init__(channels, filters, kernel, bias=False, **options)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pads: list[int] = []
        for size, kernel, stride in zip(x.shape[:-3:-1], self.kernel_size[::-1], self.stride[::-1]):
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(functional.pad(x, pads))


class Block(nn.Module):
    """An inverted residual: widen, filter each channel, narrow; added to its input where the shapes allow."""

    def __init__(self, channels: int, filters: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        width = channels * expansion
        self.adds = stride == 1 and channels == filters
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv2d(channels, width, 1)
            self._bn0 = _norm(width)
        self._depthwise_conv = SameConv2d(width, width, kernel, stride=stride, groups=width)
        self._bn1 = _norm(width)
        self._project_conv = SameConv2d(width, filters, 1)
        self._bn2 = _norm(filters)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = functional.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.adds else y


class EfficientNetLite(nn.Module):
    """Stem, inverted residuals, head, mean over the image, classifier."""

    def __init__(self, width: float, depth: float, side: int, classes: int) -> None:
        super().__init__()
        self.zoo_inputs = (TensorSpec("x", "float32", ("batch", 3, side, side)),)
        self._conv_stem = SameConv2d(3, 32, 3, stride=2)
        self._bn0 = _norm(32)
        self._blocks = nn.ModuleList(_blocks(width, depth))
        self._conv_head = SameConv2d(_scaled(320, width), 1280, 1)
        self._bn1 = _norm(1280)
        self._fc = nn.Linear(1280, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        x = functional.relu6(self._bn1(self._conv_head(x)))
        return self._fc(x.mean((2, 3)))


def _blocks(width: float, depth: float) -> list[Block]:
    blocks = []
    channels = 32
    for place, (expansion, filters, repeats, stride, kernel) in enumerate(_STAGES):
        filters = _scaled(filters, width)
        # The first and the last stage are not repeated more often in deeper variants.
        ends = place in (0, len(_STAGES) - 1)
        for repeat in range(repeats if ends else math.ceil(repeats * depth)):
            blocks.append(Block(channels, filters, expansion, stride if repeat == 0 else 1, kernel))
            channels = filters
    return blocks


def _scaled(filters: int, width: float) -> int:
    """Channels times `width`, rounded to eights, never down by more than a tenth."""
    scaled = filters * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
