"""Small networks, each with one thing that exporters get wrong."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional


class Net(nn.Module):
    """Convolution, BatchNorm and Dropout: wrong in training mode."""

    def __init__(self, classes: int = 5) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, classes)

    def forward(self, image):
        x = torch.relu(self.norm(self.conv(image)))
        return self.head(self.drop(x.mean((2, 3))))


class Tagger(nn.Module):
    """A bidirectional LSTM that answers for each step: its length is easily frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(4, 6, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(12, 3)

    def forward(self, steps):
        states, (hidden, _) = self.lstm(steps)
        return {"tags": self.head(states), "last": hidden[-1]}


class Branch(nn.Module):
    """What it computes depends on the data."""

    def forward(self, x):
        if bool(x.sum() > 0):
            return x * 2
        return x - 1


class WriteThroughView(nn.Module):
    """In-place writes through views, which the TorchScript exporter loses."""

    def forward(self, x):
        y = x * 2
        y[:, 0] += 1
        flat = y.view(-1)
        flat[3:].mul_(3.0)
        y[:, 1:].add_(5)
        return y


class LogSigmoid(nn.Module):
    def forward(self, x):
        return functional.logsigmoid(x)


class Formula(nn.Module):
    """What a function of one tensor says; torch.jit.script cannot read it."""

    def __init__(self, formula) -> None:
        super().__init__()
        self.formula = formula

    def forward(self, x):
        return self.formula(x)


class ScatterMean(nn.Module):
    def __init__(self, include_self: bool = False) -> None:
        super().__init__()
        self.include_self = include_self

    def forward(self, x, index, source):
        return x.scatter_reduce(1, index, source, "mean", include_self=self.include_self)


class Pair(NamedTuple):
    total: torch.Tensor
    parts: tuple[torch.Tensor, torch.Tensor]


class Nested(nn.Module):
    """A named tuple in a dict, a None, the input itself, one tensor twice."""

    def forward(self, x, ids):
        double = x * 2
        return {"pair": Pair(double, (x + ids, double)), "nothing": None, "same": x, "large": ids > 1}


class Embedder(nn.Module):
    """Token ids up to 50, and positions that the length decides."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(50, 8)
        self.places = nn.Embedding(32, 8)

    def forward(self, ids, mask):
        x = self.words(ids) + self.places.weight[: ids.shape[1]]
        return (x * mask[..., None]).sum(1)


class FixedRows(nn.Module):
    """Works for two rows only, whatever was promised."""

    def forward(self, x):
        return x.reshape(2, 6).sum(1)


class FixedLength(nn.Module):
    """A view whose length a trace and an export both fix."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(7))

    def forward(self, x):
        return x * self.weight


class Restless(nn.Module):
    """Random though in evaluation mode."""

    def forward(self, x):
        return functional.dropout(x, 0.5, training=True)


class Counter(nn.Module):
    """Remembers its last call."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        self.seen += 1
        return x + self.seen


class Half(nn.Module):
    def __init__(self, dtype: str = "float16") -> None:
        super().__init__()
        self.dense = nn.Linear(4, 3).to(getattr(torch, dtype))

    def forward(self, x):
        return torch.relu(self.dense(x))


class Text(nn.Module):
    def forward(self, x):
        return {"value": x, "name": "a string"}


def net(classes: int = 5) -> nn.Module:
    return Net(classes)


def seeded(kind: type[nn.Module], **kwargs: object) -> nn.Module:
    """A network with weights and statistics that are the same in every run, ready to answer."""
    torch.manual_seed(7)
    module = kind(**kwargs)
    if isinstance(module, Net):
        module(torch.randn(64, 3, 16, 16) * 3 + 1)
    return module.eval()
