"""The three networks of MTCNN face detection, keys as in facenet-pytorch's ``[pro]net.pt``.

https://arxiv.org/abs/1604.02878. Images are float32, (value − 127.5) / 128, RGB, [batch, 3, height, width].
"""

from __future__ import annotations

from typing import Optional

import torch
from torch import nn
from torch.nn import functional

from zoo.records import TensorSpec


def pnet() -> nn.Module:
    """The proposal network: any image from 12 × 12 up.

    → ``offsets`` [batch, 4, h, w] of the boxes and ``probabilities`` [batch, 2, h, w] (no face, face),
    for each position of a 12 × 12 window at stride 2.
    """
    return ProposalNet()


def rnet() -> nn.Module:
    """The refining network: 24 × 24 → ``offsets`` [batch, 4] and ``probabilities`` [batch, 2]."""
    return CandidateNet((28, 48, 64), (3, 3, 2), 576, 128, landmarks=False)


def onet() -> nn.Module:
    """The output network: 48 × 48 → the same and ``landmarks`` [batch, 10], five x and five y."""
    return CandidateNet((32, 64, 64, 128), (3, 3, 3, 2), 1152, 256, landmarks=True)


class ProposalNet(nn.Module):
    """Convolutions only, so that it slides over an image of any size."""

    def __init__(self) -> None:
        super().__init__()
        self.zoo_inputs = (TensorSpec("images", "float32", ("batch", 3, "height", "width")),)
        for place, (before, after) in enumerate(zip((3, 10, 16), (10, 16, 32)), 1):
            self.add_module(f"conv{place}", nn.Conv2d(before, after, 3))
            self.add_module(f"prelu{place}", nn.PReLU(after))
        self.conv4_1 = nn.Conv2d(32, 2, 1)
        self.conv4_2 = nn.Conv2d(32, 4, 1)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        x = functional.max_pool2d(self.prelu1(self.conv1(images)), 2, 2, ceil_mode=True)
        x = self.prelu2(self.conv2(x))
        x = self.prelu3(self.conv3(x))
        return {"offsets": self.conv4_2(x), "probabilities": self.conv4_1(x).softmax(1)}


class CandidateNet(nn.Module):
    """Convolutions, a dense layer, and a head for each answer.

    The numbers in the names of dense layers go on from the convolutions': ``dense4`` after ``conv3``.
    """

    def __init__(
        self, channels: tuple[int, ...], kernels: tuple[int, ...], flat: int, width: int, *, landmarks: bool
    ) -> None:
        super().__init__()
        self.kernels = kernels
        side = 48 if landmarks else 24
        self.zoo_inputs = (TensorSpec("images", "float32", ("batch", 3, side, side)),)
        for place, (before, after) in enumerate(zip((3, *channels), channels), 1):
            self.add_module(f"conv{place}", nn.Conv2d(before, after, kernels[place - 1]))
            self.add_module(f"prelu{place}", nn.PReLU(after))
        self.dense = len(channels) + 1
        self.add_module(f"dense{self.dense}", nn.Linear(flat, width))
        self.add_module(f"prelu{self.dense}", nn.PReLU(width))
        for place, size in enumerate((2, 4, 10) if landmarks else (2, 4), 1):
            self.add_module(f"dense{self.dense + 1}_{place}", nn.Linear(width, size))
        self.landmarks = landmarks

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        x = images
        for place in range(1, len(self.kernels) + 1):
            x = self._step(f"conv{place}", f"prelu{place}", x)
            pool = self._pool(place)
            x = x if pool is None else functional.max_pool2d(x, pool, 2, ceil_mode=True)
        # Width, height, channels: the order in which the weights were trained.
        x = x.permute(0, 3, 2, 1).flatten(1)
        x = self._step(f"dense{self.dense}", f"prelu{self.dense}", x)
        answers = {"offsets": self._head(2, x)}
        if self.landmarks:
            answers["landmarks"] = self._head(3, x)
        return {**answers, "probabilities": self._head(1, x).softmax(1)}

    def _step(self, layer: str, activation: str, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.get_submodule(activation)(self.get_submodule(layer)(x))
        return y

    def _head(self, place: int, x: torch.Tensor) -> torch.Tensor:
        y: torch.Tensor = self.get_submodule(f"dense{self.dense + 1}_{place}")(x)
        return y

    def _pool(self, place: int) -> Optional[int]:
        """The window after a convolution: 3 after the first two, 2 after a third that is not the last."""
        last = len(self.kernels)
        if place == last:
            return None
        return 3 if place <= 2 else 2
