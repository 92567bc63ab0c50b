"""Models that no ONNX file can equal: those that answer one question in two ways.

A graph saved in training mode keeps it: BatchNorm uses the batch's own statistics and Dropout draws
anew in every run. ``eval()`` cannot reach what a trace or an exported program has fixed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Iterator, Mapping, Optional

from zoo.errors import UnsupportedModelError

if TYPE_CHECKING:
    import torch

    from converters.torch_model import TorchModel
    from converters.torch_study import Study

# Operator → place of its training flag among the arguments.
_TRAINING_FLAGS = {
    "aten::dropout": 2,
    "aten::feature_dropout": 2,
    "aten::alpha_dropout": 2,
    "aten::feature_alpha_dropout": 2,
    "aten::dropout_": 2,
    "aten::native_dropout": 2,
    "aten::batch_norm": 5,
    "aten::native_batch_norm": 5,
    "aten::_batch_norm_impl_index": 5,
    "aten::_native_batch_norm_legit": 5,
    "aten::_native_batch_norm_legit_functional": 5,
    "aten::rrelu": 3,
    "aten::lstm": 6,
    "aten::gru": 6,
    "aten::rnn_tanh": 6,
    "aten::rnn_relu": 6,
}
_RECURRENT = {"aten::lstm", "aten::gru", "aten::rnn_tanh", "aten::rnn_relu"}
_STATISTICS = {name for name in _TRAINING_FLAGS if "batch_norm" in name}

HINT = "Call model.eval() before torch.jit.trace or torch.export.export, and save it again."


def refuse_unrepeatable(model: TorchModel, study: Study) -> None:
    """Raise `UnsupportedModelError` where the model is in training mode, random or stateful."""
    found = _training_operators(model)
    if found:
        raise UnsupportedModelError(
            f"the file was saved in training mode: {', '.join(sorted(set(found)))} "
            "would go on training in every run",
            hint=HINT,
        )
    feeds = study.example()
    differing = _differing(model.run(model.tensors(feeds)), model.run(model.tensors(feeds)))
    if differing:
        raise UnsupportedModelError(
            f"the model gives two answers for one input (output {differing!r}): "
            "it is random, or keeps a state between calls",
            hint="Pass the state as input and return it as output; --option submodule=NAME takes a part.",
        )


def _differing(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> Optional[str]:
    """The first output that differs by more than the order of a parallel sum can explain."""
    import torch

    for name, tensor in first.items():
        other = second[name]
        same = tensor.shape == other.shape and torch.allclose(
            tensor.double(), other.double(), rtol=1e-4, atol=1e-6, equal_nan=True
        )
        if not same:
            return name
    return None


def _training_operators(model: TorchModel) -> list[str]:
    if model.program is not None:
        return list(_in_program(model.program))
    return list(_in_script(model.module)) if model.is_scripted else []


def _in_script(module: Any) -> Iterator[str]:
    """Operators whose training flag is a constant True. A live flag follows ``eval()`` and is harmless."""
    graph = module.inlined_graph
    for kind, place in _TRAINING_FLAGS.items():
        for node in graph.findAllNodes(kind, True):
            if _constant(node, place) and not _is_harmless(node, kind):
                yield kind.replace("aten::", "")


def _constant(node: Any, place: int) -> Any:
    """The value of a node's argument if it is a constant number, else None."""
    value = list(node.inputs())[place].toIValue()
    return value if isinstance(value, (bool, int, float)) else None


def _is_harmless(node: Any, kind: str) -> bool:
    """A recurrent layer without dropout; a BatchNorm that never kept statistics (it means what it does)."""
    if kind in _RECURRENT:
        return not _constant(node, _TRAINING_FLAGS[kind] - 1)
    return kind in _STATISTICS and bool(list(node.inputs())[3].node().mustBeNone())


def _in_program(program: Any) -> Iterator[str]:
    for node in program.graph.nodes:
        if node.op != "call_function":
            continue
        name = str(node.target).rsplit(".", 1)[0].replace("aten.", "aten::")
        place = _TRAINING_FLAGS.get(name)
        if place is None or len(node.args) <= place or node.args[place] is not True:
            continue
        if (name in _STATISTICS and node.args[3] is None) or (
            name in _RECURRENT and not node.args[place - 1]
        ):
            continue
        yield name.replace("aten::", "")
