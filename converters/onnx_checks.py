"""What a converter's output must be before it leaves: usable, as promised, and free of the source's paths.

Converters report a node that they cannot map in a log, or not at all, and return the graph with the
node left in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Iterator, Sequence

from zoo.errors import ConversionError, UnsupportedModelError
from zoo.records import Signature, TensorSpec

if TYPE_CHECKING:
    import onnx

RUNTIME_DOMAINS = ("com.microsoft", "ai.onnx.ml", "ai.onnx.contrib")
LARGEST_PROTO = 2**31 - 1
LOGISTIC = ("Sigmoid", "Softmax")
SAME_VALUES = ("Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def finished(model: onnx.ModelProto, promised: Signature, messages: Sequence[str] = ()) -> onnx.ModelProto:
    """`model` with the promised names, order and dynamic axes, or an error that says which is not there.

    `messages` are the errors that the converter logged; they explain a missing operation.
    """
    refuse_unknown_operations(model, messages)
    ordered(model, promised)
    refuse_frozen_axes(model, promised)
    declare(model, promised)
    model.graph.doc_string = ""
    model.ir_version = min(model.ir_version, 10)
    check(model)
    return model


def refuse_unknown_operations(model: onnx.ModelProto, messages: Sequence[str] = ()) -> None:
    """Raise `UnsupportedModelError` for nodes that are in no operator set, naming each kind once."""
    unknown = sorted({_title(node) for node in nodes(model.graph) if not _is_known(node, model)})
    if unknown:
        reason = f" ({short(messages[0])})" if messages else ""
        raise UnsupportedModelError(
            f"no ONNX form is known for the operation{'s' * (len(unknown) > 1)} {', '.join(unknown)}{reason}",
            hint="Leave it out of the exported graph (pre- and postprocessing often hold such operations).",
        )


def roles(graph: onnx.GraphProto) -> dict[str, str]:
    """``"probabilities"`` for the outputs of a sigmoid or softmax, whose kernels round relative to 1."""
    logistic: set[str] = set()
    for node in graph.node:
        if node.op_type in LOGISTIC or (node.op_type in SAME_VALUES and node.input[0] in logistic):
            logistic.update(node.output)
    return {output.name: "probabilities" for output in graph.output if output.name in logistic}


def ordered(model: onnx.ModelProto, promised: Signature) -> None:
    """Put graph inputs and outputs in the promised order; raises `ConversionError` where one is missing."""
    for values, specs, what in (
        (model.graph.input, promised.inputs, "input"),
        (model.graph.output, promised.outputs, "output"),
    ):
        found = {value.name: value for value in values}
        missing = [spec for spec in specs if spec.name not in found]
        if missing and what == "output":
            raise ConversionError(f"the converter lost the output {missing[0].name!r}")
        kept = [found[spec.name] if spec.name in found else _value_info(spec) for spec in specs]
        del values[:]
        values.extend(kept)


def refuse_frozen_axes(model: onnx.ModelProto, promised: Signature) -> None:
    """Raise `UnsupportedModelError` where the source's axis is dynamic and the graph's has a size."""
    values = {value.name: value for value in (*model.graph.input, *model.graph.output)}
    for spec in (*promised.inputs, *promised.outputs):
        dims = values[spec.name].type.tensor_type.shape.dim
        for axis, (dim, given) in enumerate(zip(dims, spec.shape)):
            if isinstance(given, str) and _is_fixed(dim):
                size = dim.dim_value
                raise UnsupportedModelError(
                    f"axis {axis} ({given!r}) of {spec.name!r} was frozen to {size} by the conversion",
                    hint=f"If that size is right for you, ask for it: --input '{_fixed(spec, axis, size)}'.",
                )


def declare(model: onnx.ModelProto, promised: Signature) -> None:
    """Write the promised shapes into the graph, so that equal axes carry equal names."""
    values = {value.name: value for value in (*model.graph.input, *model.graph.output)}
    for spec in (*promised.inputs, *promised.outputs):
        if not spec.shape:
            continue
        shape = values[spec.name].type.tensor_type.shape
        known = [dim.dim_value if _is_fixed(dim) else None for dim in shape.dim]
        del shape.dim[:]
        for axis, given in enumerate(spec.shape):
            inferred = known[axis] if axis < len(known) else None
            _set_dim(shape.dim.add(), given if inferred is None else inferred)


def declared(model: onnx.ModelProto) -> Signature:
    """The signature that the graph's inputs and outputs declare."""
    weights = {weight.name for weight in model.graph.initializer}
    inputs = tuple(_spec(value) for value in model.graph.input if value.name not in weights)
    return Signature(inputs, tuple(_spec(value) for value in model.graph.output))


def check(model: onnx.ModelProto) -> None:
    """Raise `ConversionError` when onnx.checker finds the graph broken; it reads no model above 2 GB."""
    import onnx

    if model.ByteSize() > LARGEST_PROTO:
        return
    try:
        onnx.checker.check_model(model)
    except onnx.checker.ValidationError as error:
        raise ConversionError(f"the converter wrote an invalid graph: {short(str(error))}") from error


def nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Every node of a graph and of the graphs within its nodes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
                yield from nodes(inner)


def short(text: str, limit: int = 300) -> str:
    """The first lines of a long message of another library, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _is_known(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    import onnx

    if node.domain in RUNTIME_DOMAINS:
        return True
    opset = max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=1)
    return node.domain in ("", "ai.onnx") and onnx.defs.has(node.op_type, opset)


def _title(node: onnx.NodeProto) -> str:
    return f"{node.op_type} (domain {node.domain!r})" if node.domain else node.op_type


def _is_fixed(dim: onnx.TensorShapeProto.Dimension) -> bool:
    return bool(dim.HasField("dim_value") and dim.dim_value >= 0)


def _set_dim(dim: onnx.TensorShapeProto.Dimension, size: int | str) -> None:
    if isinstance(size, int):
        dim.dim_value = size
    else:
        dim.dim_param = size


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    import onnx

    tensor = value.type.tensor_type
    kind = onnx.TensorProto.STRING
    dtype = (
        "string" if tensor.elem_type == kind else str(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    )
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or f"{value.name}_dim{axis}"
        for axis, dim in enumerate(tensor.shape.dim)
    )
    return TensorSpec(value.name, dtype, shape)


def _value_info(spec: TensorSpec) -> onnx.ValueInfoProto:
    import numpy as np
    import onnx

    kinds = onnx.TensorProto
    kind = (
        kinds.STRING if spec.dtype == "string" else onnx.helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    )
    return onnx.helper.make_tensor_value_info(spec.name, kind, list(spec.shape))


def _fixed(spec: TensorSpec, axis: int, size: int) -> str:
    shape = (*spec.shape[:axis], size, *spec.shape[axis + 1 :])
    return str(TensorSpec(spec.name, spec.dtype, shape))
