"""A fault cut out of its model: the few nodes that are wrong, what goes in, what should come out.

The folder holds ``model.onnx``, ``inputs.npz`` and ``expected.npz`` (plain arrays by name), ``run.py``
that shows the difference with nothing but numpy and onnxruntime, and ``issue.md``, the draft of a report
to whoever wrote the converter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.errors import VerificationError
from zoo.records import record
from zoo.verification.bisection import Finding, all_values, distance

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import onnx

    from zoo.tensors import Tensors

_RUN = '''"""Shows the difference: python run.py"""

import numpy as np
import onnxruntime

inputs, expected = np.load("inputs.npz"), np.load("expected.npz")
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
for name, actual in zip(expected.files, session.run(expected.files, dict(inputs))):
    error = np.abs(actual.astype("float64") - expected[name].astype("float64"))
    place = np.unravel_index(error.argmax(), error.shape)
    print(name, actual.shape, "largest difference", error.max(), "at", [int(i) for i in place])
'''


@record
class Reproducer:
    """A small model with its inputs, and what its one output should be (None: the source has no such
    layer) and is."""

    model: Any
    inputs: dict[str, Any]
    output: str
    expected: Any
    actual: Any


def cut(model: onnx.ModelProto, finding: Finding, feeds: Tensors) -> Reproducer:
    """The nodes from the first wrong one to the first whose result the source's layer can be compared
    with, on the one row that shows the fault best."""
    values = {**all_values(model, feeds), **feeds}
    nodes = _cut_nodes(model, finding, values)
    output = nodes[-1].output[0]
    inputs = _data_inputs(model, nodes, values)
    small = _submodel(model, nodes, inputs, _info(output, values[output]))
    expected = finding.expected if _fits(finding.expected, values[output]) else None
    return _worst_row(Reproducer(small, inputs, output, _shaped(expected, values[output]), values[output]))


def _fits(expected: Any, actual: np.ndarray) -> bool:
    return expected is not None and expected.size == actual.size


def _shaped(expected: Any, actual: np.ndarray) -> Any:
    return None if expected is None else expected.reshape(actual.shape)


def _cut_nodes(model: onnx.ModelProto, finding: Finding, values: Tensors) -> list[Any]:
    by_name = {node.name or node.output[0]: node for node in model.graph.node}
    region = [by_name[name] for name in finding.region if name in by_name]
    if not region:
        raise VerificationError(f"the graph has no node {finding.node!r}")
    for count, node in enumerate(region, start=1):
        value = values.get(node.output[0])
        if value is not None and (finding.expected is None or _fits(finding.expected, value)):
            return _needed(region[:count])
    return region[:1]


def _needed(nodes: list[Any]) -> list[Any]:
    """Those that the last one depends on."""
    wanted, kept = set(nodes[-1].output), []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]


def _data_inputs(model: onnx.ModelProto, nodes: list[Any], values: Tensors) -> dict[str, Any]:
    stored = {tensor.name for tensor in model.graph.initializer}
    made = {name for node in nodes for name in node.output}
    wanted = [name for node in nodes for name in node.input if name and name not in stored | made]
    return {name: values[name] for name in dict.fromkeys(wanted) if name in values}


def _submodel(
    model: onnx.ModelProto, nodes: list[Any], inputs: dict[str, Any], output: Any
) -> onnx.ModelProto:
    from onnx import helper

    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "reproducer",
        [_info(name, array) for name, array in inputs.items()],
        [output],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    small = helper.make_model(graph, opset_imports=model.opset_import, functions=model.functions)
    small.ir_version = model.ir_version
    return small


def _info(name: str, array: np.ndarray) -> Any:
    import onnx
    from onnx import helper

    text = array.dtype.kind in "UO"
    element = onnx.TensorProto.STRING if text else helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, element, [None] * array.ndim)


def _worst_row(whole: Reproducer) -> Reproducer:
    """The one row with the largest error, where it shows the fault on its own."""
    import numpy as np

    if whole.expected is None or whole.actual.ndim == 0 or len(whole.actual) < 2:
        return whole
    count = len(whole.actual)
    if any(array.ndim == 0 or len(array) != count for array in whole.inputs.values()):
        return whole
    with np.errstate(invalid="ignore"):
        gap = np.abs(whole.actual.astype(np.float64) - whole.expected.astype(np.float64))
    row = int(np.nanargmax(np.nan_to_num(gap, nan=np.inf).reshape(count, -1).max(axis=1)))
    one = {name: array[row : row + 1] for name, array in whole.inputs.items()}
    try:
        actual = all_values(whole.model, one)[whole.output]
    except VerificationError:
        return whole
    expected = whole.expected[row : row + 1]
    shows = actual.shape == expected.shape and distance(actual, expected) > 0
    return Reproducer(whole.model, one, whole.output, expected, actual) if shows else whole


def write(reproducer: Reproducer, finding: Finding, folder: Path, versions: dict[str, str]) -> Path:
    """Write the folder; returns ``issue.md``."""
    import numpy as np
    import onnx

    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(reproducer.model, str(folder / "model.onnx"))
    np.savez(folder / "inputs.npz", **reproducer.inputs)
    if reproducer.expected is not None:
        np.savez(folder / "expected.npz", **{reproducer.output: reproducer.expected})
    (folder / "run.py").write_text(_RUN, encoding="utf-8")
    issue = folder / "issue.md"
    issue.write_text(draft(reproducer, finding, versions), encoding="utf-8")
    return issue


def draft(reproducer: Reproducer, finding: Finding, versions: dict[str, str]) -> str:
    """The text of a report, in Markdown."""
    layer = f"`{finding.layer}` ({finding.layer_kind})" if finding.layer else "the model"
    shapes = ", ".join(f"`{name}` {list(array.shape)}" for name, array in reproducer.inputs.items())
    lines = [
        f"# {finding.op_type}: the converted graph differs from the source at {layer}",
        "",
        f"The ONNX graph computes another `{finding.output}` than its source: the error is"
        f" {finding.error:.3g} of the largest element. The first node that goes wrong is"
        f" `{finding.node}` ({finding.op_type})"
        + (f"; everything up to `{finding.last_right}` agrees." if finding.last_right else "."),
        *([f"In the source that is {layer}. {finding.where}".rstrip()] if finding.layer else []),
        "",
        "## Reproduce",
        "",
        f"`model.onnx` holds the nodes below, `inputs.npz` their inputs ({shapes}),",
        "`expected.npz` what the source computes there. `python run.py` prints the difference.",
        "",
        "```text",
        *[_line(node) for node in reproducer.model.graph.node],
        "```",
        "",
        _difference(reproducer),
        "",
        "## Versions",
        "",
        *[f"- {name} {version}" for name, version in sorted(versions.items())],
    ]
    return "\n".join(lines) + "\n"


def _difference(reproducer: Reproducer) -> str:
    if reproducer.expected is None:
        return "The source has no layer of this shape to compare with; the whole output differs."
    largest = distance(reproducer.actual, reproducer.expected)
    return f"Largest difference in `{reproducer.output}`: {largest:.3g} of its largest element."


def _line(node: Any) -> str:
    import onnx

    attributes = ", ".join(
        f"{a.name}={onnx.helper.get_attribute_value(a)!r}"[:80]
        for a in node.attribute
        if a.type not in (4, 5)
    )
    return f"{', '.join(node.output)} = {node.op_type}({', '.join(node.input)}) {attributes}".rstrip()
