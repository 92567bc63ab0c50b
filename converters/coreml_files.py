"""Core ML's files (.mlmodel), and their neural networks as plain layers: kinds, numbers, weights as arrays.

Source: Model.proto and NeuralNetwork.proto of coremltools 9. In the shapes of before version 4 an input is a
vector [C] or an image [C, H, W]; the batch is no part of the file.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Optional, Tuple

from zoo.errors import UnsupportedFileError, UnsupportedModelError
from zoo.records import record

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

NETWORKS = ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor")
HINT = "Convert the model that the .mlmodel was made from."


@record
class Layer:
    """One layer: `kind` and parameters are the specification's."""

    name: str
    kind: str
    inputs: Tuple[str, ...]
    outputs: Tuple[str, ...]
    parameters: Any


@record
class Network:
    """A network. `inputs` are shapes of one row; `labels` is empty unless it classifies.

    `scaled` holds a factor and a bias for each channel of an image input.
    """

    inputs: Any
    layers: Tuple[Layer, ...]
    outputs: Tuple[str, ...]
    scaled: Any
    labels: Tuple[Any, ...] = ()
    probabilities: Optional[str] = None
    specification: int = 1


def read(path: Path) -> Any:
    """The message of a file. Raises `UnsupportedFileError` for a damaged one."""
    message = import_module("coremltools.proto.Model_pb2").Model()
    try:
        message.ParseFromString(path.read_bytes())
    except Exception as error:
        raise UnsupportedFileError(f"{path.name} is a damaged Core ML model: {error}") from error
    return message


def network(message: Any) -> Network:
    """The network in a message. Raises `UnsupportedModelError` for what cannot be said in a row of arrays."""
    return _network(message, getattr(message, message.WhichOneof("Type")))


def _network(message: Any, network: Any) -> Network:
    shapes = {one.name: _shape(one) for one in message.description.input}
    names = [one.name for one in message.description.output]
    labels = _labels(network)
    produced = {name for layer in network.layers for name in layer.output}
    chances = None
    if labels:
        chances = network.labelProbabilityLayerName or next(name for name in names if name in produced)
        chances = chances if chances in produced else _output_of(network, chances)
    return Network(
        inputs=shapes,
        layers=tuple(_layer(one) for one in network.layers),
        outputs=(chances,) if chances else tuple(name for name in names if name in produced),
        scaled={one.featureName or next(iter(shapes)): _scaled(one, shapes) for one in network.preprocessing},
        labels=labels,
        probabilities=chances,
        specification=message.specificationVersion,
    )


def _output_of(network: Any, layer: str) -> str:
    return str(next(one.output[0] for one in network.layers if one.name == layer))


def _layer(message: Any) -> Layer:
    kind = message.WhichOneof("layer") or "nothing"
    parameters = getattr(message, kind, None)
    return Layer(message.name, kind, tuple(message.input), tuple(message.output), parameters)


def _shape(feature: Any) -> tuple[int, ...]:
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        image = feature.type.imageType
        return (1 if image.colorSpace == image.GRAYSCALE else 3, int(image.height), int(image.width))
    if kind != "multiArrayType":
        raise UnsupportedModelError(f"the input {feature.name!r} is a {kind}, not an array", hint=HINT)
    shape = tuple(int(size) for size in feature.type.multiArrayType.shape)
    if len(shape) == 2 and shape[0] == 1:
        return shape[1:]
    if len(shape) not in (1, 3):
        raise UnsupportedModelError(
            f"the input {feature.name!r} has the shape {list(shape)}: neither [C] nor [C, H, W]", hint=HINT
        )
    return shape


def _labels(network: Any) -> tuple[Any, ...]:
    kind = network.WhichOneof("ClassLabels") if hasattr(network, "labelProbabilityLayerName") else None
    return () if kind is None else tuple(getattr(network, kind).vector)


def _scaled(message: Any, shapes: dict[str, tuple[int, ...]]) -> tuple[float, tuple[float, ...]]:
    if message.WhichOneof("preprocessor") != "scaler":
        raise UnsupportedModelError("a mean image is subtracted from the input", hint=HINT)
    scaler = message.scaler
    channels = shapes[message.featureName or next(iter(shapes))][0]
    biases = (scaler.grayBias,) if channels == 1 else (scaler.redBias, scaler.greenBias, scaler.blueBias)
    return float(scaler.channelScale), tuple(map(float, biases))


def weights(layer: Layer, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A weight of a layer as float32. Raises `UnsupportedModelError` for quantised ones."""
    import numpy as np

    stored = getattr(layer.parameters, name)
    if stored.HasField("quantization"):
        raise refuse(layer, "its weights are quantised")
    half = np.frombuffer(stored.float16Value, dtype="<f2").astype(np.float32)
    values = np.array(stored.floatValue, dtype=np.float32) if stored.floatValue else half
    if values.size != int(np.prod(shape)):
        raise refuse(layer, f"{name} has {values.size} numbers, not {list(shape)}")
    return values.reshape(shape)


def refuse(layer: Layer, reason: str) -> UnsupportedModelError:
    """The error that names the layer; `raise refuse(...)`."""
    return UnsupportedModelError(f"layer {layer.name!r} ({layer.kind}): {reason}", hint=HINT)
