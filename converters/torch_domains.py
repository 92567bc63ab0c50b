"""Which inputs are indices into an embedding, and how long its table is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from converters.torch_model import TorchModel
    from zoo.tensors import Tensors


def embedding_bounds(model: TorchModel, feeds: Tensors) -> dict[str, int]:
    """The number of rows of the table that each integer input indexes, seen while the model runs.

    An input is recognised by its values and shape, so inputs with equal values share the smallest
    bound: `feeds` should differ where that matters.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    tensors = model.tensors(feeds)
    whole = {name: tensor for name, tensor in tensors.items() if not tensor.is_floating_point()}
    bounds: dict[str, int] = {}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is torch.ops.aten.embedding.default:
                table, index = args[0], args[1]
                for name, tensor in whole.items():
                    if index.shape == tensor.shape and bool((index == tensor).all()):
                        bounds[name] = min(bounds.get(name, table.shape[0]), table.shape[0])
            return func(*args, **(kwargs or {}))

    with Watch():
        model.run(tensors)
    return bounds
