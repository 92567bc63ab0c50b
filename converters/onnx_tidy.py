"""An exporter's graph made presentable: no paths of the author's machine, stable names, honest shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator

if TYPE_CHECKING:
    import onnx

    from zoo.records import TensorSpec


def strip_provenance(model: onnx.ModelProto) -> None:
    """Remove what tells of the machine: stack traces with source paths, doc strings, namespaces.

    Initializers, nodes and functions keep their names; ``metadata_props`` of the model are kept too,
    except for the exporter's own ``pkg.torch.*``.
    """
    kept = [(p.key, p.value) for p in model.metadata_props if not p.key.startswith(("pkg.", "namespace"))]
    del model.metadata_props[:]
    for key, value in kept:
        model.metadata_props.add(key=key, value=value)
    model.ClearField("doc_string")
    for graph in graphs(model.graph):
        _strip_graph(graph)
    for function in model.functions:
        _strip_nodes(function)


def _strip_graph(graph: Any) -> None:
    _strip_nodes(graph)
    for value in [*graph.input, *graph.output, *graph.initializer]:
        value.ClearField("doc_string")
        value.ClearField("metadata_props")
    # Runtimes infer the shapes in between; those of the exporter name its own symbols, or are frozen.
    del graph.value_info[:]


def _strip_nodes(holder: Any) -> None:
    holder.ClearField("doc_string")
    holder.ClearField("metadata_props")
    for node in holder.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")


def graphs(graph: Any) -> Iterator[Any]:
    """`graph` and every graph inside its nodes' attributes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from graphs(attribute.g)
            for inner in attribute.graphs:
                yield from graphs(inner)


def name_inputs(model: onnx.ModelProto, specs: tuple[TensorSpec, ...]) -> None:
    """Give the graph's inputs the names of `specs`; an input that no node reads is added back."""
    wanted = [spec.name for spec in specs]
    current = [value.name for value in model.graph.input]
    if current == wanted:
        return
    if len(current) == len(wanted):
        for old, new in zip(current, wanted):
            rename(model.graph, old, f"{new}·")
        for new in wanted:
            _free(model.graph, new)
            rename(model.graph, f"{new}·", new)
        return
    _add_unread(model, specs)


def _add_unread(model: onnx.ModelProto, specs: tuple[TensorSpec, ...]) -> None:
    import numpy as np
    from onnx import helper

    present = {value.name: value for value in model.graph.input}
    values = [
        present.get(spec.name)
        or helper.make_tensor_value_info(
            spec.name, helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype)), list(spec.shape)
        )
        for spec in specs
    ]
    copies = [type(value).FromString(value.SerializeToString()) for value in values]
    del model.graph.input[:]
    model.graph.input.extend(copies)


def name_outputs(model: onnx.ModelProto, specs: tuple[TensorSpec, ...]) -> None:
    """Give the graph's outputs the names of `specs`, which are in the same order.

    An output that is an input, a weight or another output too is copied by an Identity node.
    """
    from onnx import helper

    graph = model.graph
    fixed = {value.name for value in graph.input} | {value.name for value in graph.initializer}
    done: set[str] = set()
    for value, spec in zip(graph.output, specs):
        old = value.name
        if old == spec.name and old not in fixed and old not in done:
            done.add(old)
            continue
        _free(graph, spec.name)
        if old in fixed or old in done:
            graph.node.append(helper.make_node("Identity", [old], [spec.name]))
            value.name = spec.name
        else:
            rename(graph, old, spec.name)
        done.add(spec.name)


def _free(graph: Any, name: str) -> None:
    """Rename whatever bears `name` already, unless it is an input."""
    made = {output for node in graph.node for output in node.output}
    made |= {value.name for value in graph.initializer}
    if name in made:
        rename(graph, name, f"{name}_inner")


def rename(graph: Any, old: str, new: str) -> None:
    """Rename a value in `graph` and in the graphs inside it, which may read it."""
    if old == new:
        return
    for part in graphs(graph):
        for value in [*part.input, *part.output, *part.initializer, *part.value_info]:
            if value.name == old:
                value.name = new
        for node in part.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == old:
                        names[index] = new


def dims(value: Any) -> tuple[Any, ...]:
    """The axes of a graph input or output: a size, a name, or None where the file says nothing."""
    kind = value.type.tensor_type
    return tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in kind.shape.dim
    )


def set_dims(value: Any, shape: tuple[Any, ...]) -> None:
    """Write the axes of a graph input or output; a name makes an axis dynamic."""
    kind = value.type.tensor_type
    kind.ClearField("shape")
    kind.shape.SetInParent()
    for size in shape:
        dim = kind.shape.dim.add()
        if isinstance(size, str):
            dim.dim_param = size
        elif size is not None:
            dim.dim_value = size
