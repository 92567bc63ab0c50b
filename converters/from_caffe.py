"""Caffe: a network (.prototxt) with its weights (.caffemodel), held to what OpenCV computes with them.

Caffe itself is built for no Python of today. OpenCV reads its files by an implementation of its own, which
shares no code with this one. See docs/frameworks/caffe.md.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, ClassVar, Mapping

from converters import caffe_files, caffe_layers
from converters.caffe_graph import OPSET, Net
from converters.feed_options import with_options
from zoo.errors import MissingInputError, UnsupportedFileError, UnsupportedModelError
from zoo.records import Signature, SourceDescription, TensorSpec, record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import onnx

    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors

PACKAGES = ("opencv-python-headless", "opencv-python")


@record
class CaffeModel:
    """The written graph (`net`), the signature, and OpenCV's own network."""

    net: Any
    signature: Signature
    native: Any
    notes: tuple[str, ...] = ()


class CaffeConverter:
    """Converts Caffe networks for inference."""

    framework: ClassVar[str] = "caffe"
    title: ClassVar[str] = "Caffe"
    requirements: ClassVar[tuple[str, ...]] = ("opencv-python-headless|opencv-python",)
    extra: ClassVar[str] = "caffe"
    revision: ClassVar[int] = 1

    def load(self, artifact: Artifact, request: ConversionRequest) -> CaffeModel:
        """Both files, of which the artifact is one; option ``network`` or ``weights`` names the other.

        Raises `MissingInputError` where the other is not there, `UnsupportedModelError` for a layer that
        cannot be said.
        """
        text, binary = _files(artifact.path, request)
        inputs, layers = caffe_files.network(text)
        blobs = caffe_files.weights(binary)
        layers = [replace(layer, blobs=blobs.get(layer.name, ())) for layer in layers]
        net = Net(inputs)
        caffe_layers.write(net, layers)
        fixed = caffe_layers.fixes_batch(layers)
        notes = ("a Reshape states the size of the batch: it is fixed",) if fixed else ()
        return CaffeModel(net, _signature(net, inputs, fixed), _native(text, binary), notes)

    def describe(self, model: CaffeModel, request: ConversionRequest) -> SourceDescription:
        """The inputs of the network; what no layer reads is an output."""
        versions = {"OpenCV's Caffe": _version()}
        found = SourceDescription(model.signature, versions=versions, notes=model.notes)
        return with_options(found, request.options)

    def convert(self, model: CaffeModel, request: ConversionRequest) -> onnx.ModelProto:
        """The network as ONNX at opset 17, or at another from 13 on."""
        from converters.onnx_checks import check

        opset = request.opset or OPSET
        if not 13 <= opset <= 21:
            raise UnsupportedModelError(f"Caffe networks are written at opset 13 to 21, not {opset}")
        made = _model(model, opset)
        check(made)
        return made

    def predict(self, model: CaffeModel, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """OpenCV's answer on its own CPU kernels."""
        import numpy as np

        for name, array in feeds.items():
            model.native.setInput(np.ascontiguousarray(array, dtype=np.float32), name)
        names = [spec.name for spec in model.signature.outputs]
        answers = model.native.forward([model.net.writers[name] for name in names])
        return {name: np.array(answer) for name, answer in zip(names, answers)}


def _files(path: Path, request: ConversionRequest) -> tuple[Path, Path]:
    if request.kind == "h5":
        raise UnsupportedFileError(
            f"{path.name} holds Caffe weights in HDF5, which OpenCV does not read",
            hint="Save them as .caffemodel: net.save('net.caffemodel').",
        )
    is_text = request.kind == "prototxt"
    option, suffix = ("weights", ".caffemodel") if is_text else ("network", ".prototxt")
    asked = request.options.get(option)
    names = [str(asked)] if asked else [path.stem + suffix, *([] if is_text else ["deploy.prototxt"])]
    other = next((path.parent / name for name in names if (path.parent / name).is_file()), None)
    if other is None:
        raise MissingInputError(
            f"{path.name} is half of a Caffe model: there is no {' or '.join(names)} beside it",
            hint=f"Put it there, or name it: --option {option}=FILE (in the same folder).",
        )
    return (path, other) if is_text else (other, path)


def _native(text: Path, binary: Path) -> Any:
    cv2 = import_module("cv2")
    try:
        net = cv2.dnn.readNetFromCaffe(str(text), str(binary))
    except cv2.error as error:
        reason = " ".join(str(error).split())[:300]
        raise UnsupportedFileError(f"OpenCV cannot read {text.name} with {binary.name}: {reason}") from error
    net.setPreferableBackend(cv2.dnn.DNN_BACKEND_OPENCV)
    net.enableWinograd(False)  # faster, and less exact
    net.enableFusion(False)  # each layer as it is
    return net


def _signature(net: Net, inputs: dict[str, tuple[int, ...]], fixed: bool) -> Signature:
    def spec(name: str, shape: tuple[int, ...]) -> TensorSpec:
        return TensorSpec(name, "float32", shape if fixed else ("batch", *shape[1:]))

    left = [blob for blob in net.writers if blob not in net.read]
    return Signature(
        tuple(spec(name, shape) for name, shape in inputs.items()),
        tuple(spec(name, net.shapes[name]) for name in left),
    )


def _model(model: CaffeModel, opset: int) -> onnx.ModelProto:
    from onnx import TensorProto, helper

    net = model.net
    nodes = list(net.nodes)
    nodes += [helper.make_node("Identity", [net.values[s.name]], [s.name]) for s in model.signature.outputs]
    inputs, outputs = (
        [helper.make_tensor_value_info(s.name, TensorProto.FLOAT, list(s.shape)) for s in specs]
        for specs in (model.signature.inputs, model.signature.outputs)
    )
    graph = helper.make_graph(nodes, "network", inputs, outputs, list(net.weights))
    imports = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="zoo")


def _version() -> str:
    for name in PACKAGES:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "?"
