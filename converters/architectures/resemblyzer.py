"""Resemblyzer's voice encoder, keys as under ``model_state`` in its ``pretrained.pt``.

https://arxiv.org/abs/1710.10467 (generalised end-to-end loss): three LSTM layers over mel frames, the
last state through a dense layer, scaled to length one. The checkpoint's ``similarity_weight`` and
``similarity_bias`` belong to the training loss: leave them out with ``drop``.
"""

from __future__ import annotations

import torch
from torch import nn

from zoo.records import TensorSpec

_MELS = 40


def voice_encoder(width: int = 256, layers: int = 3) -> nn.Module:
    """The encoder: float32 mel frames [batch, frames, 40] → embeddings [batch, 256] of length one."""
    return VoiceEncoder(width, layers)


class VoiceEncoder(nn.Module):
    """LSTM, dense layer, ReLU, unit length."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.zoo_inputs = (TensorSpec("mels", "float32", ("batch", "frames", _MELS)),)
        self.lstm = nn.LSTM(_MELS, width, layers, batch_first=True)
        self.linear = nn.Linear(width, width)

    def forward(self, mels: torch.Tensor) -> dict[str, torch.Tensor]:
        _, (hidden, _) = self.lstm(mels)
        raw = torch.relu(self.linear(hidden[-1]))
        return {"embedding": raw / raw.norm(dim=1, keepdim=True)}
