"""A torch model of any kind as a function of named arrays: what goes in and comes out, by name."""

from __future__ import annotations

import contextlib
import inspect
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional

from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import numpy as np
    import torch

    from zoo.tensors import Tensors


class TorchModel:
    """A module, scripted module or exported program that can be called with named arrays.

    `module` is what runs. `program` is the `torch.export.ExportedProgram` it came from, if any.
    """

    def __init__(self, module: Any, program: Any = None) -> None:
        self.module = module
        self.program = program
        self.studied: Any = None

    @property
    def is_scripted(self) -> bool:
        import torch

        return isinstance(self.module, torch.jit.ScriptModule)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of what ``forward`` takes by position; of a program, its flat inputs."""
        if self.program is not None:
            return tuple(str(name) for name in self.program.graph_signature.user_inputs)
        if self.is_scripted:
            return tuple(argument.name for argument in self.module.forward.schema.arguments[1:])
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return tuple(
            name
            for name, parameter in inspect.signature(self.module.forward).parameters.items()
            if parameter.kind in kinds
        )

    def arguments(self, tensors: Mapping[str, torch.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """How `tensors` are passed: by ``forward``'s names where all of them are, else in their order."""
        if self.program is not None:
            return self._program_arguments(tensors)
        names = [name for name in self.parameters if name in tensors]
        if len(names) != len(tensors):
            return tuple(tensors.values()), {}
        leading = _leading(self.parameters, tensors)
        args = tuple(tensors[name] for name in leading)
        return args, {name: tensors[name] for name in names[len(leading) :]}

    def _program_arguments(self, tensors: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        from torch.utils import _pytree

        by_name = set(self.parameters) == set(tensors)
        flat = [tensors[name] for name in self.parameters] if by_name else list(tensors.values())
        args, kwargs = _pytree.tree_unflatten(flat, self.program.call_spec.in_spec)
        return tuple(args), kwargs

    def run(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The outputs by name, with gradients off and in evaluation mode."""
        import torch

        args, kwargs = self.arguments(tensors)
        with torch.inference_mode(), evaluating(self.module):
            return named_outputs(self.module(*args, **kwargs), frozenset(tensors))

    def predict(self, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """`run` on numpy arrays. bfloat16, which numpy lacks, comes and goes as float32."""
        outputs = self.run(self.tensors(feeds))
        return {name: to_numpy(tensor) for name, tensor in outputs.items()}

    def tensors(self, feeds: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
        """`feeds` on the module's device, float32 in bfloat16 where the module computes in that."""
        import torch

        weight = self._weight()
        tensors = {name: to_torch(array, name) for name, array in feeds.items()}
        if weight is None:
            return tensors
        halved = weight.dtype == torch.bfloat16
        return {
            name: tensor.to(weight.device, weight.dtype if halved and tensor.dtype == torch.float32 else None)
            for name, tensor in tensors.items()
        }

    def _weight(self) -> Optional[torch.Tensor]:
        return next((p for p in self.module.parameters() if p.is_floating_point()), None)

    @property
    def dtype(self) -> Optional[str]:
        """The numpy name of the floating dtype of the weights, None without weights."""
        weight = self._weight()
        return None if weight is None else str(weight.dtype).replace("torch.", "")

    @property
    def arithmetic(self) -> Optional[str]:
        """``"bfloat16"`` or ``"float16"`` where some weights are in it."""
        dtypes = {str(weight.dtype).replace("torch.", "") for weight in self.module.parameters()}
        return next((name for name in ("bfloat16", "float16") if name in dtypes), None)


def as_torch_model(model: Any) -> TorchModel:
    """`model` itself, or a live module or exported program wrapped as one."""
    import torch

    if isinstance(model, TorchModel):
        return model
    if isinstance(model, torch.export.ExportedProgram):
        return TorchModel(model.module(), model)
    if isinstance(model, torch.nn.Module):
        return TorchModel(model)
    raise UnsupportedModelError(
        f"a {type(model).__module__}.{type(model).__name__} is not a torch module",
        hint="Give a torch.nn.Module, a scripted module or a torch.export.ExportedProgram.",
    )


@contextlib.contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Run in evaluation mode, and put each submodule back: the caller may be in the midst of training."""
    modes = [(child, child.training) for child in module.modules()]
    if any(training for _, training in modes) and not _is_program(module):
        module.eval()
    try:
        yield
    finally:
        for child, training in modes:
            child.training = training


def _is_program(module: Any) -> bool:
    """The module of an exported program has no modes, and its ``eval`` raises."""
    import torch

    return isinstance(module, torch.fx.GraphModule)


def named_outputs(value: Any, taken: frozenset[str] = frozenset()) -> dict[str, torch.Tensor]:
    """The tensors in `value`, in order, each under a stable name.

    Keys of dicts and fields of named tuples are names, places in lists and tuples become
    ``output_0`` …, a lone tensor is ``output``. A name of an input (`taken`) gets ``_out``.
    """
    leaves = list(_leaves(value, ()))
    if not leaves:
        raise UnsupportedModelError("the model returns no tensor")
    if len(leaves) == 1 and all(isinstance(step, int) for step in leaves[0][0]):
        leaves = [((), leaves[0][1])]
    named: dict[str, torch.Tensor] = {}
    for path, tensor in leaves:
        name = "_".join(str(step) for step in path)
        name = name if path and isinstance(path[0], str) else f"output_{name}".rstrip("_")
        while name in named or name in taken:
            name += "_out"
        named[name] = tensor
    return named


def _leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    import torch

    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, (*path, str(key)))
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for key, item in zip(value._fields, value):
            yield from _leaves(item, (*path, key))
    elif isinstance(value, (tuple, list)):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    elif value is not None:
        place = ".".join(map(str, path)) or "the result"
        raise UnsupportedModelError(
            f"the model returns a {type(value).__name__} at {place}; ONNX outputs are tensors",
            hint="Return tensors only, nested in tuples, lists and dicts as you like.",
        )


def _leading(parameters: tuple[str, ...], tensors: Mapping[str, Any]) -> list[str]:
    leading = []
    for name in parameters:
        if name not in tensors:
            break
        leading.append(name)
    return leading


def to_torch(array: np.ndarray, name: str = "") -> torch.Tensor:
    """A tensor with its own memory, so that a module that writes into its input harms nobody."""
    import numpy as np
    import torch

    array = np.array(array, copy=True, order="C")
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    if array.dtype.kind not in "biufc":
        raise UnsupportedModelError(f"torch has no tensors of {array.dtype} (input {name!r})")
    return torch.from_numpy(array)


def to_numpy(tensor: torch.Tensor) -> np.ndarray:
    """The tensor's values; bfloat16 as float32, which holds each of them exactly."""
    import torch

    tensor = tensor.detach().cpu()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    array: np.ndarray = tensor.resolve_conj().resolve_neg().numpy()
    return array
