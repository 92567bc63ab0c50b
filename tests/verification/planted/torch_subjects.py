"""Small PyTorch models, each with parts in which converters have been wrong."""

from __future__ import annotations

import torch
from torch import nn

from zoo.records import TensorSpec


class Image(nn.Module):
    """Convolutions, batch normalisation, average pooling at an edge, resizing, and two outputs."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8, eps=1e-3)
        self.second = nn.Conv2d(8, 12, 3, padding=1)
        self.pool = nn.AvgPool2d(3, stride=2, padding=1)
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        x = nn.functional.leaky_relu(self.norm(self.first(x)), 0.1)
        x = self.pool(torch.relu(self.second(x)))
        large = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        scores = self.head(large.mean(dim=(2, 3)) - x.amax(dim=(2, 3)))
        return {"probabilities": torch.sigmoid(scores), "scores": scores}


class Text(nn.Module):
    """Embedding, layer norm, masked attention, exact gelu, dropout."""

    def __init__(self, size=16):
        super().__init__()
        self.table = nn.Embedding(50, size)
        self.norm = nn.LayerNorm(size, eps=1e-5)
        self.query, self.key, self.value = (nn.Linear(size, size) for _ in range(3))
        self.wide, self.narrow = nn.Linear(size, 2 * size), nn.Linear(2 * size, size)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(size, 3)

    def forward(self, ids, mask):
        x = self.norm(self.table(ids))
        scores = self.query(x) @ self.key(x).transpose(1, 2) / x.shape[-1] ** 0.5
        scores = scores + (1.0 - mask[:, None, :].to(x.dtype)) * -1e4
        x = x + torch.softmax(scores, dim=-1) @ self.value(x)
        x = x + self.narrow(nn.functional.gelu(self.wide(x)))
        return {"logits": self.head(self.drop(x)[:, 0])}


class Saturated(nn.Module):
    """A classifier with such large weights that ordinary rows answer exactly 0 or 1."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head = nn.Linear(6, 16), nn.Linear(16, 3)
        with torch.no_grad():
            self.head.weight.mul_(3000)
            self.head.bias.fill_(400.0)
            self.head.bias[1] -= 90.0

    def forward(self, x):
        return {"probabilities": torch.softmax(self.head(torch.tanh(self.hidden(x))), dim=-1)}


def image():
    torch.manual_seed(1)
    model = Image().train()
    with torch.no_grad():
        for _ in range(5):
            model(torch.randn(16, 3, 12, 12) * 0.1 + 0.3)
    return model.eval(), (TensorSpec("x", "float32", ("batch", 3, 12, 12)),)


def text():
    torch.manual_seed(2)
    axes = ("batch", "length")
    return Text().eval(), (TensorSpec("ids", "int64", axes), TensorSpec("mask", "int64", axes))


def saturated():
    torch.manual_seed(3)
    return Saturated().eval(), (TensorSpec("x", "float32", ("batch", 6)),)
