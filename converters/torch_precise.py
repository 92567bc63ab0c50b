"""A torch model's answer in float64: what is left of float32's rounding is the model's own noise."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Mapping, Optional

from converters.torch_model import TorchModel, to_numpy

if TYPE_CHECKING:
    import numpy as np

    from zoo.tensors import Tensors

LARGEST = 1 << 30
"""Bytes of weights; the float64 twin of a larger model takes too much memory."""


def precise_twin(model: TorchModel) -> Optional[TorchModel]:
    """A copy of the module in float64, None where there is none: scripted, exported, or too large."""
    import torch

    if model.is_scripted or model.program is not None or model.dtype != "float32":
        return None
    size = sum(p.numel() * p.element_size() for p in model.module.parameters())
    if size > LARGEST:
        return None
    with torch.no_grad():
        return TorchModel(copy.deepcopy(model.module).double())


def predicted(twin: TorchModel, feeds: Mapping[str, np.ndarray]) -> Optional[Tensors]:
    """The twin's outputs; None where its code is written for float32 alone."""
    tensors = {
        name: tensor.double() if tensor.is_floating_point() else tensor
        for name, tensor in twin.tensors(feeds).items()
    }
    try:
        return {name: to_numpy(tensor) for name, tensor in twin.run(tensors).items()}
    except (RuntimeError, TypeError):
        return None
