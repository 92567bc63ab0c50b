"""SavedModels through one of their signatures.

TensorFlow 2's are loaded as objects. TensorFlow 1's are loaded into a session and frozen there: the
object loader refuses signature names that are Python keywords, and tf2onnx cannot freeze TensorFlow
1's variables behind a function.
"""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterable, Iterator

from converters.tensorflow_models import Source, graph_source, listed, port
from converters.tensorflow_runtime import first, quiet, tensorflow
from zoo.errors import MissingInputError, UnsupportedFileError, UsageError

if TYPE_CHECKING:
    from zoo.records import ConversionRequest


def saved_model(path: Path, request: ConversionRequest) -> Source:
    """A SavedModel through one of its signatures (options ``signature`` and ``tags``).

    Raises:
        UnsupportedFileError: TensorFlow cannot load it.
        MissingInputError: it has several signatures, or none, and no choice was given.
    """
    tf = tensorflow()
    tags = listed(request.options.get("tags")) or None
    wanted = request.options.get("signature")
    try:
        with quiet(), tf.device("/cpu:0"):
            return _source(path, tags, wanted)
    except (
        OSError,
        ValueError,
        KeyError,
        RuntimeError,
        AttributeError,
        AssertionError,
        tf.errors.OpError,
    ) as error:
        raise UnsupportedFileError(
            f"TensorFlow cannot load SavedModel {path.name}: {first(error)}"
        ) from error


def _source(path: Path, tags: list[str] | None, wanted: Any) -> Source:
    proto = _proto(path)
    graph = next((g for g in proto.meta_graphs if not tags or set(g.meta_info_def.tags) == set(tags)), None)
    if graph is not None and not graph.HasField("object_graph_def"):
        return _version_1(path, graph, wanted)
    loaded = _loaded(path, proto, tags)
    name = _chosen(loaded.signatures, wanted)
    return _version_2(loaded, loaded.signatures[name])


def _proto(path: Path) -> Any:
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    return SavedModel.FromString((path / "saved_model.pb").read_bytes())


def _chosen(signatures: Iterable[str], wanted: Any) -> str:
    names = sorted(name for name in signatures if not name.startswith("__"))
    known = ", ".join(names) or "none"
    if wanted is not None and wanted not in names:
        raise UsageError(f"the SavedModel has no signature {wanted!r}", hint=f"Its signatures: {known}")
    if wanted is not None or "serving_default" in names:
        return str(wanted or "serving_default")
    if len(names) != 1:
        raise MissingInputError(
            f"the SavedModel has {len(names)} signatures and none is 'serving_default': {known}",
            hint="Choose one: --option signature=NAME." if names else "Export it again with a signature.",
        )
    return names[0]


def _version_2(loaded: Any, signature: Any) -> Source:
    specs = signature.structured_input_signature[1]
    names = sorted(specs)
    ports = tuple(port(name, specs[name]) for name in names)

    def call(*tensors: Any) -> dict[str, Any]:
        outputs = signature(**dict(zip(names, tensors)))
        return {name: outputs[name] for name in sorted(outputs)}

    return Source(call, ports, loaded)


def _version_1(path: Path, graph: Any, wanted: Any) -> Source:
    v1 = tensorflow().compat.v1
    signature = graph.signature_def[_chosen(graph.signature_def, wanted)]
    inputs = {name: signature.inputs[name].name for name in sorted(signature.inputs)}
    outputs = {name: signature.outputs[name].name for name in sorted(signature.outputs)}
    nodes = [name.split(":")[0] for name in outputs.values()]
    with tensorflow().Graph().as_default() as graph_of_session, v1.Session() as session:
        v1.saved_model.load(session, list(graph.meta_info_def.tags), str(path))
        definition = graph_of_session.as_graph_def()
        return graph_source(
            v1.graph_util.convert_variables_to_constants(session, definition, nodes), inputs, outputs
        )


def _loaded(path: Path, proto: Any, tags: list[str] | None) -> Any:
    """The object of a SavedModel, without an optimiser's slots, whose class only tf_keras registers."""
    tf = tensorflow()
    nodes = [node for graph in proto.meta_graphs for node in graph.object_graph_def.nodes]
    if not any(node.slot_variables for node in nodes):
        return tf.saved_model.load(str(path), tags=tags)
    for node in nodes:
        del node.slot_variables[:]
    with _beside(path, proto) as stripped:
        return tf.saved_model.load(str(stripped), tags=tags)


@contextlib.contextmanager
def _beside(path: Path, proto: Any) -> Iterator[Path]:
    """A folder with `proto` as its SavedModel, and links to the variables and assets of `path`."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as folder:
        beside = Path(folder)
        (beside / "saved_model.pb").write_bytes(proto.SerializeToString())
        for part in path.iterdir():
            if part.is_dir():
                (beside / part.name).symlink_to(part.resolve())
        yield beside
