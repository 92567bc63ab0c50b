"""Silero's voice activity detector at 16 kHz, keys as in ``silero_vad_16k.safetensors``.

The spectrum is a convolution with a fixed basis; four convolutions and one LSTM step follow. The state
goes in and out, so that the caller feeds one chunk after the other. https://github.com/snakers4/silero-vad
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from zoo.records import TensorSpec

_CHUNK, _CONTEXT = 512, 64
_BINS = 129
_WIDTH = 128


def silero_vad() -> nn.Module:
    """The detector: ``input`` float32 [batch, 576], 64 samples of context before a chunk of 512, and
    ``state`` [2, batch, 128], zeros at first → ``output`` [batch, 1], the probability of speech, and
    ``stateN``.
    """
    return SileroVad()


class SileroVad(nn.Module):
    """Spectrum, encoder, LSTM step, probability."""

    def __init__(self) -> None:
        super().__init__()
        self.zoo_inputs = (
            TensorSpec("input", "float32", ("batch", _CONTEXT + _CHUNK)),
            TensorSpec("state", "float32", (2, "batch", _WIDTH)),
        )
        self.stft_conv = nn.Conv1d(1, 2 * _BINS, 256, 128, bias=False)
        for place, (before, after, stride) in enumerate(
            ((_BINS, 128, 1), (128, 64, 2), (64, 64, 2), (64, _WIDTH, 1)), 1
        ):
            self.add_module(f"conv{place}", nn.Conv1d(before, after, 3, stride, 1))
        self.lstm_cell = nn.LSTMCell(_WIDTH, _WIDTH)
        self.final_conv = nn.Conv1d(_WIDTH, 1, 1)

    def forward(self, input: torch.Tensor, state: torch.Tensor) -> dict[str, torch.Tensor]:
        spectrum = self.stft_conv(functional.pad(input, (0, _CONTEXT), "reflect")[:, None])
        x = (spectrum[:, :_BINS] ** 2 + spectrum[:, _BINS:] ** 2).sqrt()
        for place in range(1, 5):
            x = torch.relu(self.get_submodule(f"conv{place}")(x))
        hidden, cell = self.lstm_cell(x.squeeze(-1), (state[0], state[1]))
        speech = torch.sigmoid(self.final_conv(torch.relu(hidden)[..., None]))
        return {"output": speech.mean(2), "stateN": torch.stack([hidden, cell])}
