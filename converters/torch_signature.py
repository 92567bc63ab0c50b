"""Which inputs a torch model takes: from the request, the program, a sample or the module itself."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Mapping, Optional

from converters.feed_options import input_specs
from converters.trials import BATCH
from zoo.errors import MissingInputError, UnsupportedModelError, UsageError
from zoo.records import TensorSpec
from zoo.tensors import read_sample

if TYPE_CHECKING:
    from converters.torch_model import TorchModel
    from zoo.records import ConversionRequest, Dim
    from zoo.tensors import Tensors


def signature_inputs(model: TorchModel, request: ConversionRequest) -> tuple[TensorSpec, ...]:
    """The inputs, in the order of ``forward``; a named dimension is promised to be dynamic.

    Raises `MissingInputError` where nobody says what they are.
    """
    specs = _given(model, request)
    ordered = sorted(specs, key=lambda spec: _place(model, spec.name, len(specs)))
    return input_specs(tuple(ordered), request.options)


def _given(model: TorchModel, request: ConversionRequest) -> tuple[TensorSpec, ...]:
    if model.program is not None:
        return _of_program(model, request.inputs)
    if request.inputs:
        return request.inputs
    sample = sample_arrays(model, request)
    if sample:
        return _of_sample(sample, model.dtype)
    declared = getattr(model.module, "zoo_inputs", ())
    if declared:
        return tuple(declared)
    raise _missing(model)


def _place(model: TorchModel, name: str, last: int) -> int:
    names = model.parameters
    return names.index(name) if name in names else last


def _missing(model: TorchModel) -> MissingInputError:
    names = model.parameters or ("x",)
    example = " ".join(f"--input '{name}:float32[batch,3,224,224]'" for name in names[:3])
    return MissingInputError(
        f"a torch file does not say the shapes of its inputs ({', '.join(names)})",
        hint=f"{example} (your dtypes and shapes; a named axis is dynamic) or --sample file.npz",
    )


def sample_arrays(model: TorchModel, request: ConversionRequest) -> Optional[Tensors]:
    """The user's sample under the names of ``forward``'s parameters."""
    if request.sample is None:
        return None
    if request.sample.suffix.lower() == ".csv":
        raise UsageError(
            "a CSV sample does not say how its columns make the tensors of a torch module",
            hint="Save the arrays with numpy.savez(file, name=array).",
        )
    arrays = read_sample(request.sample)
    names = model.parameters
    positional = {f"arr_{i}": name for i, name in enumerate(names)}
    positional[""] = names[0] if names else "x"
    return {positional.get(name, name): array for name, array in arrays.items()}


def _of_sample(sample: Tensors, dtype: Optional[str]) -> tuple[TensorSpec, ...]:
    """The leading axis is the batch where all inputs have it, of one length."""
    lengths = {array.shape[0] if array.ndim else None for array in sample.values()}
    batched = len(lengths) == 1 and None not in lengths
    return tuple(
        TensorSpec(name, _dtype(array, dtype), (BATCH, *array.shape[1:]) if batched else array.shape)
        for name, array in sample.items()
    )


def _dtype(array: Any, dtype: Optional[str]) -> str:
    """numpy's default float64 is rarely meant: such a sample takes the dtype of the weights."""
    name = str(array.dtype)
    return dtype if name == "float64" and dtype else name


def _of_program(model: TorchModel, asked: tuple[TensorSpec, ...]) -> tuple[TensorSpec, ...]:
    """The inputs of an exported program: dtypes and shapes are in it, names of axes may be asked."""
    values = _program_values(model.program)
    names: dict[str, str] = {}
    specs = []
    for index, name in enumerate(model.parameters):
        wanted = _asked(asked, name, index)
        specs.append(_program_spec(name, values[name], names, wanted))
    return tuple(specs)


def _asked(asked: tuple[TensorSpec, ...], name: str, index: int) -> Optional[TensorSpec]:
    by_name = {spec.name: spec for spec in asked}
    return by_name.get(name) or (asked[index] if index < len(asked) and not by_name.keys() & {name} else None)


def _program_values(program: Any) -> Mapping[str, Any]:
    return {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}


def _program_spec(name: str, value: Any, names: dict[str, str], wanted: Optional[TensorSpec]) -> TensorSpec:
    import torch

    if not isinstance(value, torch.Tensor):
        raise UnsupportedModelError(
            f"input {name!r} of the exported program is the constant {value!r}, not a tensor",
            hint="Export it with that argument bound, or as a tensor.",
        )
    shape = []
    for axis, dim in enumerate(value.shape):
        asked = wanted.shape[axis] if wanted is not None and len(wanted.shape) == value.dim() else None
        shape.append(_program_dim(dim, (name, axis), names, asked))
    spec = TensorSpec(wanted.name if wanted else name, str(value.dtype).replace("torch.", ""), tuple(shape))
    return replace(spec, name=name)


def _program_dim(dim: Any, place: tuple[str, int], names: dict[str, str], asked: Optional[Dim]) -> Dim:
    name, axis = place
    if isinstance(dim, int):
        if isinstance(asked, str):
            raise UnsupportedModelError(
                f"axis {axis} of {name!r} is promised to be dynamic ({asked}), but the program was exported "
                f"with it fixed at {dim}",
                hint="Export it again with dynamic_shapes for that axis, or give its size.",
            )
        return dim
    symbol = str(dim)
    default = BATCH if axis == 0 and BATCH not in names.values() else f"{name}_dim{axis}"
    return names.setdefault(symbol, asked if isinstance(asked, str) else default)


def program_ranges(program: Any, specs: tuple[TensorSpec, ...]) -> dict[str, tuple[int, int]]:
    """The sizes (lowest, highest) that the program allows for each named axis."""
    values = _program_values(program)
    limits = {str(symbol): (int(r.lower), r.upper) for symbol, r in program.range_constraints.items()}
    ranges: dict[str, tuple[int, int]] = {}
    for spec in specs:
        for dim, named in zip(values[spec.name].shape, spec.shape):
            if isinstance(named, str) and str(dim) in limits:
                low, high = limits[str(dim)]
                ranges[named] = (low, int(high) if str(high).isdigit() else 2**31)
    return ranges
