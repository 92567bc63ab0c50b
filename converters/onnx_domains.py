"""Which values an ONNX graph accepts, read from the operators that its inputs reach.

An integer input that selects rows of a table must stay within it; one that is compared with constants
is one of them. Feeds that ignore this would crash the model and prove nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Optional

from converters.feed_options import axis_sizes, input_domain, input_specs
from converters.onnx_tidy import graphs
from converters.trials import Inputs, sampled_axes, symbols, tried
from zoo.records import ColumnDomain, Domain
from zoo.tensors import read_sample

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.onnx_model import OnnxSource
    from zoo.records import ConversionRequest, TensorSpec

# Operators that hand values on unchanged.
_PASSES = {"Cast", "Identity", "Unsqueeze", "Squeeze", "Reshape", "Transpose", "Flatten", "Expand", "Slice"}
_COMPARES = {"Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"}
_SCALAR_CATEGORIES = 8
"""Most constants that a scalar may be compared with to count as one of them."""


def known_inputs(source: OnnxSource, request: ConversionRequest) -> Inputs:
    """Specs, domains and hints on sizes, the request's word before the graph's."""
    asked = {spec.name: spec for spec in request.inputs}
    found = tuple(asked.get(spec.name, spec) for spec in source.inputs)
    specs = input_specs(found, request.options)
    sample = read_sample(request.sample) if request.sample else None
    if sample is not None and list(sample) == [""]:
        sample = {specs[0].name: sample[""]}
    domains = tuple(
        input_domain(spec.name, request.options, Domain((_column(spec, source.model),))) for spec in specs
    )
    axes = {**sampled_axes(specs, sample), **axis_sizes(request.options)}
    return Inputs(specs, domains, request.seed, sample, axes)


def tried_axes(source: OnnxSource, known: Inputs) -> tuple[dict[str, tuple[int, ...]], tuple[str, ...]]:
    """Sizes of the dynamic axes at which the graph runs, and what to know where there are none.

    Raises `CheckError` where ONNX Runtime does not load the model at all.
    """
    assert source.session is not None
    if not symbols(known.specs) or any(spec.dtype == "string" for spec in known.specs):
        return {}, ()
    trial = tried(source.run, known)
    if trial.sizes:
        return trial.axes(known.specs), ()
    return {}, (f"no size was found at which the model runs; it says: {trial.failure}",)


def _column(spec: TensorSpec, model: onnx.ModelProto) -> ColumnDomain:
    if not spec.dtype.startswith(("int", "uint")):
        return ColumnDomain()
    reader = _Reader(model)
    bound = min(reader.table_lengths(spec.name), default=None)
    if bound is not None:
        return ColumnDomain(low=0, high=bound - 1, integral=True)
    constants = tuple(sorted(set(reader.compared(spec.name))))
    if not spec.shape and 0 < len(constants) <= _SCALAR_CATEGORIES:
        return ColumnDomain(categories=constants, accepts_unknown=False)
    if "mask" in spec.name.lower():
        return ColumnDomain(low=0, high=1, integral=True)
    return ColumnDomain(integral=True)


class _Reader:
    """Follows values through a model's graphs."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = [node for graph in graphs(model.graph) for node in graph.node]
        self.tensors = {t.name: t for graph in graphs(model.graph) for t in graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].HasField("t"):
                self.tensors[node.output[0]] = node.attribute[0].t
        self.makers = {name: node for node in self.nodes for name in node.output}

    def readers(self, name: str) -> Iterator[tuple[Any, int]]:
        """The nodes that read a value or an unchanged copy of it, and at which place."""
        pending, seen = [name], {name}
        while pending:
            current = pending.pop()
            for node in self.nodes:
                for place, read in enumerate(node.input):
                    if read != current:
                        continue
                    yield node, place
                    if node.op_type in _PASSES and place == 0 and node.output[0] not in seen:
                        seen.add(node.output[0])
                        pending.append(node.output[0])

    def table_lengths(self, name: str) -> Iterator[int]:
        """Lengths of the tables that the value selects from."""
        for node, place in self.readers(name):
            if node.op_type == "Gather" and place == 1:
                length = self._length(node)
            elif node.op_type == "OneHot" and place == 0:
                depth = self.array(node.input[1])
                length = None if depth is None else int(depth.ravel()[0])
            else:
                continue
            if length is not None:
                yield length

    def _length(self, gather: Any) -> Optional[int]:
        axis = next((attribute.i for attribute in gather.attribute if attribute.name == "axis"), 0)
        table = gather.input[0]
        while table not in self.tensors and table in self.makers:
            maker = self.makers[table]
            if maker.op_type not in ("DequantizeLinear", "Identity", "Cast"):
                return None
            table = maker.input[0]
        tensor = self.tensors.get(table)
        return None if tensor is None or len(tensor.dims) <= axis else int(tensor.dims[axis])

    def compared(self, name: str) -> Iterator[float]:
        """Constants that the value is compared with for equality."""
        for node, place in self.readers(name):
            if node.op_type in _COMPARES:
                other = self.array(node.input[1 - place])
                if other is not None and other.size == 1:
                    yield float(other.ravel()[0])

    def array(self, name: str) -> Optional[np.ndarray]:
        from onnx import numpy_helper

        tensor = self.tensors.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)
