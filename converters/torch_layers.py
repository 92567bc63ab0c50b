"""What every layer of a torch model gives, to find the first that a graph does not have."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Mapping

from converters.torch_model import evaluating, to_numpy

if TYPE_CHECKING:
    import numpy as np

    from converters.torch_model import TorchModel
    from zoo.interfaces import Layer


def layers(model: TorchModel, feeds: Mapping[str, np.ndarray]) -> list[Layer]:
    """Each leaf module's output in the order of the calls; of an exported program, each node's.

    A scripted module hides its layers: the list is empty.
    """
    if model.is_scripted:
        return []
    return _of_program(model, feeds) if model.program is not None else _of_module(model, feeds)


def _of_module(model: TorchModel, feeds: Mapping[str, np.ndarray]) -> list[Layer]:
    found: list[Layer] = []

    def noted(name: str) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            if hasattr(output, "detach"):
                found.append((name, type(module).__name__, to_numpy(output), _where(module)))

        return hook

    leaves = [(name, child) for name, child in model.module.named_modules() if not list(child.children())]
    hooks = [child.register_forward_hook(noted(name)) for name, child in leaves]
    try:
        model.run(model.tensors(feeds))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _of_program(model: TorchModel, feeds: Mapping[str, np.ndarray]) -> list[Layer]:
    import torch

    found: list[Layer] = []

    class Recorder(torch.fx.Interpreter):
        def run_node(self, node: Any) -> Any:
            value = super().run_node(node)
            if node.op == "call_function" and isinstance(value, torch.Tensor):
                trace = (node.meta.get("stack_trace") or "").strip().splitlines()
                found.append(
                    (node.name, str(node.target), to_numpy(value), trace[-1].strip() if trace else "")
                )
            return value

    args, kwargs = model.arguments(model.tensors(feeds))
    flat = [*args, *kwargs.values()]
    with torch.inference_mode(), evaluating(model.module):
        Recorder(model.module).run(*flat)
    return found


def _where(module: Any) -> str:
    """File and line of the module's ``forward``."""
    try:
        return f"{inspect.getsourcefile(type(module))}:{inspect.getsourcelines(type(module).forward)[1]}"
    except (TypeError, OSError):
        return ""
