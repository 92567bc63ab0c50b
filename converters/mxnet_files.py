"""An MXNet model on disk: ``name-symbol.json`` and the parameters of one epoch, ``name-0000.params``.

The symbol is read as JSON, before MXNet sees it.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

from converters.trials import BATCH
from zoo.errors import MissingInputError, UnsafeFileError, UnsupportedFileError
from zoo.records import TensorSpec, record

_REACHING_OUT = {
    "Custom": "calls Python code by its name",
    "_CustomFunction": "calls code at an address that the file states",
    "_Native": "calls code at an address that the file states",
    "_NDArray": "calls code at an address that the file states",
    "_cvimread": "reads a file",
    "_TensorRT": "runs a compiled engine out of the file",
}
_DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64")
"""By MXNet's number of them."""


@record
class MXNetFiles:
    """The symbol's path, its parameters' and what the symbol's JSON says."""

    symbol: Path
    parameters: Path
    graph: dict[str, Any]

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """The nodes in order, without those of subgraphs."""
        return self.graph["nodes"]  # type: ignore[no-any-return]


def found(path: Path, kind: str, options: Mapping[str, object]) -> MXNetFiles:
    """Both files, whichever was given; option ``epoch`` chooses among the parameters of several.

    Raises `UnsupportedFileError` where the other one is missing or the symbol is damaged,
    `UnsafeFileError` for operations that reach beyond the model.
    """
    symbol = path if kind == "symbol" else _symbol_of(path)
    parameters = path if kind == "params" else _parameters_of(path, options.get("epoch"))
    graph = _parsed(symbol)
    for node in _nodes(graph, symbol.name):
        if node.get("op") in _REACHING_OUT:
            raise UnsafeFileError(
                f"{symbol.name} holds the operation {node['op']!r}, which {_REACHING_OUT[node['op']]}",
                hint="It is no part of a model that ONNX could say. Do not load it.",
            )
    return MXNetFiles(symbol, parameters, graph)


def _symbol_of(parameters: Path) -> Path:
    stem = re.sub(r"-\d{4}$", "", parameters.stem)
    symbol = parameters.with_name(f"{stem}-symbol.json")
    if not symbol.is_file():
        raise UnsupportedFileError(
            f"{parameters.name} holds the parameters of an MXNet model, whose symbol is not beside it",
            hint=f"Put {symbol.name} into the same folder; Gluon's net.export('{stem}') writes both.",
        )
    return symbol


def _parameters_of(symbol: Path, epoch: object) -> Path:
    stem = re.sub(r"-symbol$", "", symbol.stem)
    if epoch is not None:
        chosen = symbol.with_name(f"{stem}-{int(str(epoch)):04d}.params")
        beside = [chosen] if chosen.is_file() else []
    else:
        named = re.compile(re.escape(stem) + r"(-\d{4})?\.params")
        beside = sorted(path for path in symbol.parent.iterdir() if named.fullmatch(path.name))
    if len(beside) > 1:
        names = ", ".join(path.name for path in beside)
        raise MissingInputError(
            f"{symbol.name} has parameters of several epochs: {names}",
            hint="--option epoch=NUMBER chooses one; or give that file.",
        )
    if not beside:
        raise UnsupportedFileError(
            f"the parameters of {symbol.name} are not beside it",
            hint=f"Put {stem}-{int(str(epoch or 0)):04d}.params into the same folder.",
        )
    return beside[0]


def _parsed(symbol: Path) -> Any:
    try:
        return json.loads(symbol.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnsupportedFileError(f"{symbol.name} is no JSON: {error}", hint="Is it complete?") from error


def _nodes(graph: Any, name: str) -> Iterator[dict[str, Any]]:
    nodes = graph.get("nodes") if isinstance(graph, dict) else None
    if not isinstance(nodes, list) or not all(isinstance(node, dict) for node in nodes):
        raise UnsupportedFileError(f"{name} is JSON, but no MXNet symbol: it has no list of nodes")
    yield from nodes
    for node in nodes:
        for inner in node.get("subgraphs", ()):
            yield from _nodes(inner, name)


def attributes(node: Mapping[str, Any]) -> Mapping[str, str]:
    """A node's attributes, under whichever key its version of MXNet wrote them."""
    for key in ("attrs", "attr", "param"):
        if isinstance(node.get(key), dict):
            return node[key]  # type: ignore[no-any-return]
    return {}


def stated_input(files: MXNetFiles, name: str) -> tuple[str, Optional[TensorSpec]]:
    """The dtype of an input, and its spec where the symbol states a shape; its first axis is the batch."""
    node = next((node for node in files.nodes if node.get("name") == name), {})
    stated = attributes(node)
    number = stated.get("__dtype__", "0")
    dtype = _DTYPES[int(number)] if number.isdigit() and int(number) < len(_DTYPES) else "float32"
    shape = _shape(stated.get("__shape__", ""))
    if not shape:
        return dtype, None
    dims = tuple(size if size > 0 else f"{name}_dim{axis}" for axis, size in enumerate(shape))
    return dtype, TensorSpec(name, dtype, (BATCH, *dims[1:]))


def _shape(text: str) -> tuple[int, ...]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    return value if isinstance(value, tuple) and all(type(size) is int for size in value) else ()


def table_rows(files: MXNetFiles, inputs: tuple[str, ...]) -> dict[str, int]:
    """The rows of the embedding table that an input indexes, by the input's name."""
    rows: dict[str, int] = {}
    for node in files.nodes:
        size = attributes(node).get("input_dim", "")
        if node.get("op") == "Embedding" and size.isdigit():
            source = files.nodes[node["inputs"][0][0]].get("name")
            if source in inputs:
                rows[source] = min(int(size), rows.get(source, 2**31))
    return rows


_LOGISTIC = ("softmax", "SoftmaxOutput", "SoftmaxActivation", "sigmoid", "LogisticRegressionOutput")


def probabilities(files: MXNetFiles) -> list[int]:
    """The places of the outputs that a softmax or sigmoid gives."""
    heads = [files.nodes[head[0]] for head in files.graph.get("heads", ())]
    return [
        place
        for place, node in enumerate(heads)
        if node.get("op") in _LOGISTIC or attributes(node).get("act_type") == "sigmoid"
    ]
