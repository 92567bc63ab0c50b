"""An MXNet symbol with its parameters: what it takes, what it answers, and its graph in ONNX."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Iterator, Mapping, Sequence

from converters.mxnet_cures import with_fixed_gammas, without_losses
from converters.mxnet_files import MXNetFiles
from converters.onnx_checks import short
from zoo.errors import UnsupportedFileError, UnsupportedModelError

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.records import TensorSpec
    from zoo.tensors import Tensors

_REFUSALS = (AttributeError, NotImplementedError, AssertionError, ValueError, KeyError, TypeError, IndexError)
"""What the exporter raises for operations, and forms of operations, that it does not know."""
OPSETS = (12, 13)
"""Those that MXNet 1.9's exporter knows; it stamps whatever onnx's newest is."""


class MXNetModel:
    """A loaded model. `inputs` are the arguments without a value, in the symbol's order."""

    def __init__(self, files: MXNetFiles, symbol: Any, parameters: Mapping[str, Any]) -> None:
        self.files = files
        self.symbol = symbol
        self.parameters = parameters
        given = [name for name in symbol.list_inputs() if name not in parameters]
        # What a loss layer was trained against: its answer does not depend on it.
        label = symbol.get_internals().list_outputs()[-1].rpartition("_output")[0] + "_label"
        self.labels = tuple(name for name in given if name == label)
        self.inputs = tuple(name for name in given if name != label)
        self.outputs = tuple(symbol.list_outputs())

    def run(self, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """The answer in prediction mode, on the CPU."""
        import mxnet

        values = {name: mxnet.nd.array(feeds[name], dtype=feeds[name].dtype) for name in self.inputs}
        shapes = {name: value.shape for name, value in values.items()}
        found, _, _ = self.symbol.infer_shape(**shapes)
        sizes = dict(zip(self.symbol.list_arguments(), found or ()))
        values.update({name: mxnet.nd.zeros(sizes[name]) for name in self.labels})
        arguments = {name: self._value(name, values) for name in self.symbol.list_arguments()}
        states = {name: self.parameters[name] for name in self.symbol.list_auxiliary_states()}
        executor = self.symbol.bind(mxnet.cpu(), arguments, grad_req="null", aux_states=states)
        answers = executor.forward(is_train=False)
        return {name: answer.asnumpy() for name, answer in zip(self.outputs, answers)}

    def _value(self, name: str, values: Mapping[str, Any]) -> Any:
        return values[name] if name in values else self.parameters[name]


def load(files: MXNetFiles) -> MXNetModel:
    """Read both files with MXNet; raises `UnsupportedFileError` for what it cannot read or does not fit."""
    import mxnet

    try:
        symbol = mxnet.sym.load(str(files.symbol))
        loaded = mxnet.nd.load(str(files.parameters))
    except (mxnet.MXNetError, ValueError, TypeError, OSError, KeyError) as error:
        raise UnsupportedFileError(
            f"MXNet cannot read {files.symbol.name} with {files.parameters.name}: {_reason(error)}",
            hint="Are both files complete?",
        ) from error
    if loaded and not isinstance(loaded, dict):
        raise UnsupportedFileError(f"{files.parameters.name} holds arrays without names, not parameters")
    # A model without parameters has an empty list of them.
    parameters = {re.sub("^(arg|aux):", "", name): value for name, value in dict(loaded).items()}
    missing = sorted(set(symbol.list_auxiliary_states()) - set(parameters))
    if missing or (parameters and not set(parameters) & set(symbol.list_inputs())):
        raise UnsupportedFileError(
            f"{files.parameters.name} does not belong to {files.symbol.name}: "
            f"it has no {missing[0] if missing else 'parameter of that name'}",
            hint="Give the two files that one net.export() or save_checkpoint() wrote.",
        )
    return MXNetModel(files, symbol, parameters)


def exported(model: MXNetModel, specs: Sequence[TensorSpec], opset: int) -> onnx.ModelProto:
    """The graph at `opset`, its named axes dynamic and its outputs under the source's names."""
    import mxnet
    import numpy as np
    from mxnet.onnx.mx2onnx._export_onnx import MXNetGraph
    from onnx import helper

    kinds = [helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype)) for spec in specs]
    examples = [tuple(2 if isinstance(size, str) else size for size in spec.shape) for spec in specs]
    dynamic = [tuple(size if isinstance(size, int) else None for size in spec.shape) for spec in specs]
    try:
        with _checked_at(opset):
            graph = MXNetGraph().create_onnx_graph_proto(
                mxnet.sym.load_json(without_losses(model.files)),
                with_fixed_gammas(model.files, model.parameters), examples, kinds,
                opset_version=opset, dynamic=True, dynamic_input_shapes=dynamic,
            )  # fmt: skip
    except (*_REFUSALS, mxnet.MXNetError) as error:
        raise UnsupportedModelError(f"MXNet cannot export it: {_reason(error)}") from error
    converted: onnx.ModelProto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8
    )
    return converted


@contextmanager
def _checked_at(opset: int) -> Iterator[None]:
    """The exporter lets onnx check its graph as one of onnx's newest opset, where its nodes are unknown."""
    from onnx import checker

    context = checker.DEFAULT_CONTEXT
    kept, context.opset_imports = context.opset_imports, {"": opset}
    try:
        yield
    except checker.ValidationError as error:
        raise UnsupportedModelError(f"MXNet exports an invalid graph: {short(str(error))}") from error
    finally:
        context.opset_imports = kept


def exported_name(output: str) -> str:
    """The name that the exporter gives to an output of the symbol."""
    for ending, number in (("_state_output", "1"), ("_statecell_output", "2"), ("_output", "")):
        if output.endswith(ending):
            return output[: -len(ending)] + number
    return re.sub(r"_output(\d)$", r"\1", output)


def _reason(error: BaseException) -> str:
    """The message without MXNet's C++ stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Error in operator" in line or "Check failed" in line]
    return short(" ".join(told[:2] or lines[:2]) or type(error).__name__)
