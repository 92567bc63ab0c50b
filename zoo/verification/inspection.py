"""Facts of an ONNX file, and the structural check that comes before it is run.

Both read a file that nobody trusts, so they belong into the worker process. The order matters: 1,649
bytes of nested functions expand to 2²⁶ nodes and hang shape inference and ONNX Runtime, so the
expansion is counted before anything else walks the graph.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator, Optional, Tuple

from zoo.errors import CheckError, ZooError
from zoo.records import Dim, OnnxModel, Signature, TensorSpec
from zoo.verification.graph_digest import graph_digest, loaded
from zoo.verification.runtime import Session, first_line

if TYPE_CHECKING:
    import onnx

MAX_NODES = 1_000_000
"""Most nodes of a graph after all function calls are expanded."""

KNOWN_DOMAINS = frozenset(
    {"", "ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "com.microsoft"}
    | {"com.microsoft.nchwc", "com.ms.internal.nhwc", "org.pytorch.aten"}
)
"""Operator domains that ONNX Runtime has built in."""

FunctionId = Tuple[str, str, str]


def inspect(path: Path) -> OnnxModel:
    """Digest, opset, IR version, signature, metadata and canonical graph digest of a file.

    The digest of a model with external data is that of its ``.onnx`` file alone; the graph digest
    covers the weights. Raises `CheckError` for a file that is no ONNX model.
    """
    path = Path(path)
    model = loaded(path)
    return OnnxModel(
        path=path,
        digest=_sha256(path),
        size=path.stat().st_size,
        opset=_opset(model),
        ir_version=int(model.ir_version),
        signature=signature(model.graph),
        metadata={prop.key: prop.value for prop in model.metadata_props},
        graph_digest=graph_digest(model, path.parent),
    )


def check(path: Path) -> None:
    """Raise `CheckError` unless the file is a valid ONNX model that ONNX Runtime loads."""
    path = Path(path)
    model = loaded(path)
    check_expansion(model)
    check_domains(model)
    check_external_data(model, path.parent)
    _check_with_onnx(path)
    Session(path)


def signature(graph: onnx.GraphProto) -> Signature:
    """The inputs that must be fed (initialisers with an input of their name are none) and outputs."""
    stored = {tensor.name for tensor in graph.initializer}
    inputs = tuple(_spec(value) for value in graph.input if value.name not in stored)
    return Signature(inputs, tuple(_spec(value) for value in graph.output))


def check_expansion(model: onnx.ModelProto) -> int:
    """The number of nodes once every function call is expanded; `CheckError` if it is absurd.

    Counts each function once, so the cost is that of the file's size, not of the expansion.
    """
    functions = {_function_id(f): f for f in model.functions}
    sizes: dict[FunctionId, int] = {}
    for key in functions:
        _measure(key, functions, sizes)
    total = sum(_cost(node, functions, sizes) for node in all_nodes(model.graph.node))
    if total > MAX_NODES:
        raise CheckError(
            f"the graph expands to {total:,} nodes through its functions; the limit is {MAX_NODES:,}",
            hint="Such a file is made to hang its readers. Do not run it.",
        )
    return total


def _measure(start: FunctionId, functions: dict[FunctionId, Any], sizes: dict[FunctionId, int]) -> None:
    """Sizes of `start` and all it calls, by depth first without recursion; a cycle is an error."""
    stack, open_ = [start], set()
    while stack:
        key = stack[-1]
        if key in sizes:
            stack.pop()
            continue
        nodes = list(all_nodes(functions[key].node))
        callees = {_call_id(node) for node in nodes} & functions.keys()
        waiting = [callee for callee in callees if callee not in sizes]
        if key in open_ and waiting:
            raise CheckError(f"the function {key[1]!r} calls itself", hint="ONNX forbids recursion.")
        open_.add(key)
        if waiting:
            if open_.intersection(waiting):
                raise CheckError(f"the function {key[1]!r} calls itself", hint="ONNX forbids recursion.")
            stack.extend(waiting)
            continue
        sizes[key] = sum(_cost(node, functions, sizes) for node in nodes)


def _cost(node: Any, functions: dict[FunctionId, Any], sizes: dict[FunctionId, int]) -> int:
    return 1 + sizes.get(_call_id(node), 0)


def _call_id(node: Any) -> FunctionId:
    return (_domain(node.domain), node.op_type, getattr(node, "overload", ""))


def _function_id(function: Any) -> FunctionId:
    return (_domain(function.domain), function.name, getattr(function, "overload", ""))


def _domain(name: str) -> str:
    return "" if name == "ai.onnx" else name


def all_nodes(nodes: Any) -> Iterator[Any]:
    """Nodes with those of their subgraphs."""
    stack = list(nodes)
    while stack:
        node = stack.pop()
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs) if attribute.type in (5, 10) else ():
                stack.extend(graph.node)


def check_domains(model: onnx.ModelProto) -> None:
    """Every operator must be of a built-in domain or a function of the file."""
    own = {_function_id(function) for function in model.functions}
    bodies = [model.graph.node, *(function.node for function in model.functions)]
    for nodes in bodies:
        for node in all_nodes(nodes):
            if _domain(node.domain) not in KNOWN_DOMAINS and _call_id(node) not in own:
                raise CheckError(
                    f"the operator {node.op_type!r} is of the unknown domain {node.domain!r}",
                    hint="ONNX Runtime needs a library of custom operators for it; convert without them.",
                )


def check_external_data(model: onnx.ModelProto, folder: Path) -> None:
    """External tensors must be regular files inside the folder, long enough for what they hold."""
    for tensor in all_tensors(model):
        if tensor.data_location == 1:
            _check_external(tensor, folder)


def _check_external(tensor: Any, folder: Path) -> None:
    info = {entry.key: entry.value for entry in tensor.external_data}
    location = info.get("location", "")
    place = f"external data of {tensor.name!r}"
    parts = Path(location).parts
    if not location or Path(location).is_absolute() or ".." in parts or "\\" in location:
        raise CheckError(f"{place} lies outside the model's folder: {location!r}")
    path = folder / location
    if path.is_symlink() or not path.is_file():
        raise CheckError(f"{place} is not a regular file: {location!r}", hint="Fetch all files of the model.")
    if not str(os.path.realpath(path)).startswith(os.path.realpath(folder) + os.sep):
        raise CheckError(f"{place} lies outside the model's folder: {location!r}")
    _check_bounds(place, path, info)


def _check_bounds(place: str, path: Path, info: dict[str, str]) -> None:
    try:
        offset, length = int(info.get("offset", 0) or 0), int(info.get("length", 0) or 0)
    except ValueError as error:
        raise CheckError(f"{place} has an offset or length that is no number") from error
    size = path.stat().st_size
    if offset < 0 or length < 0 or offset + length > size:
        raise CheckError(f"{place} needs bytes {offset} to {offset + length} of a file of {size} bytes")


def all_tensors(model: onnx.ModelProto) -> Iterator[Any]:
    """Every stored tensor: initialisers, sparse ones, and attributes, in subgraphs and functions too."""
    yield from _graph_tensors(model.graph)
    for function in model.functions:
        yield from _node_tensors(function.node)


def _graph_tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _node_tensors(graph.node)


def _node_tensors(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from _attribute_tensors(attribute)


def _attribute_tensors(attribute: Any) -> Iterator[Any]:
    if attribute.HasField("t"):
        yield attribute.t
    yield from attribute.tensors
    for sparse in attribute.sparse_tensors:
        yield from (sparse.values, sparse.indices)
    if attribute.HasField("sparse_tensor"):
        yield from (attribute.sparse_tensor.values, attribute.sparse_tensor.indices)
    for graph in ([attribute.g] if attribute.HasField("g") else []) + list(attribute.graphs):
        yield from _graph_tensors(graph)


def _check_with_onnx(path: Path) -> None:
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=False)
    except ZooError:
        raise
    except Exception as error:  # the checker raises several unrelated types
        raise CheckError(f"{path.name} is not a valid ONNX model: {first_line(error)}") from error


def _opset(model: Any) -> int:
    versions = [entry.version for entry in model.opset_import if _domain(entry.domain) == ""]
    return int(max(versions, default=1))


def _spec(value: Any) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        return TensorSpec(value.name, kind or "unknown", ())
    tensor = value.type.tensor_type
    return TensorSpec(value.name, element_dtype(tensor.elem_type), _shape(tensor))


def element_dtype(element: int) -> str:
    """The numpy dtype name of an ONNX element type; text is ``"string"``, unknown codes ``"unknown"``."""
    import onnx

    try:
        name = str(onnx.TensorProto.DataType.Name(element))
    except ValueError:
        return "unknown"
    return {"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower())


def _shape(tensor: Any) -> Tuple[Dim, ...]:
    return tuple(_dim(dim) for dim in tensor.shape.dim)


def _dim(dim: Any) -> Dim:
    value: Optional[int] = dim.dim_value if dim.HasField("dim_value") else None
    return int(value) if value is not None else str(dim.dim_param or "?")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()
