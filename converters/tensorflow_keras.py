"""Keras models: loading them without their compile state, and calling them by named inputs."""

from __future__ import annotations

import importlib
import json
import zipfile
from typing import TYPE_CHECKING, Any, Callable, Iterable, Mapping

from converters.tensorflow_models import Source, suffixed
from converters.tensorflow_programs import Port
from converters.tensorflow_runtime import first, quiet, tensorflow
from zoo.errors import (
    ConversionError,
    MissingInputError,
    MissingPackageError,
    UnsafeFileError,
    UnsupportedFileError,
    UsageError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from zoo.records import ConversionRequest

LOADING_FAILURES = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    OSError,
    ImportError,
    NotImplementedError,
)
"""What Keras raises on a file that it cannot read."""


def keras_archive(path: Path, request: ConversionRequest) -> Any:
    """The model of a ``.keras`` file, without its optimiser and with Keras's safe mode on."""
    return _loaded(path, ".keras", _archive_version)


def hdf5_model(path: Path, request: ConversionRequest) -> Any:
    """The model of a whole-model ``.h5`` file."""
    return _loaded(path, ".h5", _hdf5_version)


def hdf5_weights(path: Path, request: ConversionRequest) -> Any:
    """The model that ``options["builder"]`` makes, with the weights of an ``.h5`` file."""
    model = _built(request)
    suffix = ".weights.h5" if _is_keras_3_weights(path) else ".h5"
    with suffixed(path, suffix) as named, quiet():
        try:
            model.load_weights(str(named))
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise ConversionError(f"the weights do not fit the builder's model: {first(error)}") from error
    return model


def _hdf5_version(path: Path) -> str:
    """The version of Keras that an HDF5 file names as its writer, or an empty text."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            version = file.attrs.get("keras_version", "")
            return version.decode() if isinstance(version, bytes) else str(version)
    except OSError:
        return ""


def _archive_version(path: Path) -> str:
    """The version of Keras that a ``.keras`` archive names as its writer, or an empty text."""
    try:
        with zipfile.ZipFile(path) as archive:
            return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return ""


def keras_source(model: Any, notes: Iterable[str] = ()) -> Source:
    """A Keras model as a `Source`: its tensors under the names of its layers or of its dictionaries."""
    ports = _ports(model)
    with quiet():
        arguments = _arguments(model, [port.name for port in ports])

    def call(*tensors: Any) -> dict[str, Any]:
        with quiet():
            return _named_outputs(model, model(arguments(tensors), training=False))

    return Source(call, ports, model, tuple(notes))


def is_keras_model(model: Any) -> bool:
    """Whether `model` is a model of Keras 3 or of tf_keras, without importing either."""
    bases = {f"{kind.__module__}.{kind.__name__}" for kind in type(model).__mro__}
    return bool(bases & {"keras.src.models.model.Model", "tf_keras.src.engine.training.Model"})


def _loaded(path: Path, suffix: str, writer: Callable[[Path], str]) -> Any:
    """The model as Keras 3 reads it; where it cannot, Keras 2's files through tf_keras."""
    try:
        return _loaded_by_keras_3(path, suffix)
    except UnsupportedFileError as error:
        if not writer(path).startswith(("1.", "2.")):
            raise
        return _loaded_by_keras_2(path, suffix, error)


def _loaded_by_keras_3(path: Path, suffix: str) -> Any:
    tensorflow()
    with quiet(), suffixed(path, suffix) as named:
        import keras

        try:
            with keras.saving.custom_object_scope(_custom_objects(keras)):
                return keras.saving.load_model(str(named), compile=False, safe_mode=True)
        except LOADING_FAILURES as error:
            _refuse_code(path, error)
            raise UnsupportedFileError(
                f"Keras {keras.__version__} cannot load {path.name}: {first(error)}",
                hint=_loading_hint(error),
            ) from error


def _refuse_code(path: Path, error: BaseException) -> None:
    """Raise `UnsafeFileError` where Keras's safe mode refused; tf_keras would run the code in an ``.h5``."""
    if "safe_mode=False" in str(error) or "enable_unsafe_deserialization" in str(error):
        raise UnsafeFileError(
            f"{path.name} holds Python code of its author's (a Lambda layer), which loading it would run",
            hint="Save the model without Lambda layers, or export a SavedModel with model.export().",
        ) from error


def _custom_objects(keras: Any) -> dict[str, Any]:
    """Layers that accept what Keras 2 wrote into their configuration, at its default, and Keras 3 refuses."""
    convolutions = ("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D")
    transposed = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
    stale = dict.fromkeys((*convolutions, *transposed), ("groups", 1))
    stale.update(dict.fromkeys(("SimpleRNN", "GRU", "LSTM", "RNN"), ("time_major", False)))
    return {name: _accepting(getattr(keras.layers, name), *option) for name, option in stale.items()}


def _accepting(layer: Any, option: str, default: Any) -> Any:
    def initialise(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get(option, default) == default:
            kwargs.pop(option, None)
        layer.__init__(self, *args, **kwargs)

    return type(layer.__name__, (layer,), {"__init__": initialise})


def _loading_hint(error: BaseException) -> str:
    if "too many positional arguments" in str(error):
        return "Keras 3 cannot read this layer back from HDF5: save the model as .keras."
    return "Classes of your own: give a builder and the weights, or export a SavedModel with model.export()."


def _loaded_by_keras_2(path: Path, suffix: str, reason: UnsupportedFileError) -> Any:
    tensorflow()
    with quiet(), suffixed(path, suffix) as named:
        try:
            tf_keras = importlib.import_module("tf_keras")
        except ImportError as error:
            raise MissingPackageError(
                f"{path.name} was written by Keras 2, and Keras 3 cannot read it ({reason.message})",
                hint="pip install --no-deps tf_keras  (its dependencies would replace tensorflow-cpu)",
            ) from error
        try:
            return tf_keras.models.load_model(str(named), compile=False)
        except LOADING_FAILURES as error:
            raise UnsupportedFileError(
                f"neither Keras 3 nor tf_keras {tf_keras.__version__} can load {path.name}: {first(error)}",
                hint=reason.hint,
            ) from error


def _built(request: ConversionRequest) -> Any:
    target = request.options.get("builder")
    if not target:
        raise MissingInputError(
            f"{request.artifact.path.name} holds weights without a model",
            hint="Name the function that builds it: --builder module:callable.",
        )
    module, _, name = str(target).partition(":")
    try:
        builder = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"the builder {target!r} cannot be imported: {error}") from error
    with quiet():
        return builder(**request.options.get("builder_kwargs", {}))


def _is_keras_3_weights(path: Path) -> bool:
    import h5py

    with h5py.File(path, "r") as file:
        return "layer_names" not in file.attrs and "model_weights" not in file


def _ports(model: Any) -> tuple[Port, ...]:
    inputs = getattr(model, "inputs", None)
    if inputs:
        return tuple(_tensor_port(tensor, name) for tensor, name in zip(inputs, _input_names(model, inputs)))
    return _built_ports(model)


def _tensor_port(tensor: Any, name: str) -> Port:
    tf = tensorflow()
    return Port(name, tf.dtypes.as_dtype(tensor.dtype).name, tuple(tensor.shape))


def _input_names(model: Any, inputs: list[Any]) -> list[str]:
    names = getattr(model, "input_names", None) or [_layer_name(tensor) for tensor in inputs]
    return _distinct(names)


def _built_ports(model: Any) -> tuple[Port, ...]:
    """The inputs of a subclassed model, from the shapes it was built for; its batch axis is dynamic."""
    shapes = _built_shapes(model)
    if not shapes:
        return (Port("input", "float32", None),)
    dtype = getattr(model, "input_dtype", None) or "float32"
    return tuple(Port(name, str(dtype), (None, *shape[1:])) for name, shape in shapes.items())


def _built_shapes(model: Any) -> dict[str, tuple[Any, ...]]:
    config = (model.get_build_config() if hasattr(model, "get_build_config") else None) or {}
    if config.get("shapes_dict"):
        return {name.removesuffix("_shape"): tuple(shape) for name, shape in config["shapes_dict"].items()}
    shape = config.get("input_shape")
    if isinstance(shape, dict):
        return {name: tuple(value) for name, value in shape.items()}
    if shape and all(isinstance(item, (list, tuple)) for item in shape):
        return {f"input_{index}": tuple(item) for index, item in enumerate(shape)}
    return {"input": tuple(shape)} if shape else {}


def _arguments(model: Any, names: list[str]) -> Any:
    """How to pass the tensors: in the structure of the model's inputs, else alone or as a list."""
    structure = getattr(model, "_inputs_struct", None)
    if structure is None:
        structure = getattr(model, "_nested_inputs", None)
    if structure is None:
        structure = _built_structure(model)
    if structure is None:
        return lambda tensors: tensors[0] if len(names) == 1 else list(tensors)
    return lambda tensors: tensorflow().nest.pack_sequence_as(structure, tensors)


def _built_structure(model: Any) -> Any:
    config = (model.get_build_config() if hasattr(model, "get_build_config") else None) or {}
    shape = config.get("input_shape")
    return dict.fromkeys(shape, 0) if isinstance(shape, dict) else None


def _named_outputs(model: Any, outputs: Any) -> dict[str, Any]:
    flat = tensorflow().nest.flatten(outputs)
    if isinstance(outputs, Mapping) and len(flat) == len(outputs):
        return {str(name): outputs[name] for name in outputs}
    names = getattr(model, "output_names", None)
    if not names:
        names = [_layer_name(tensor) for tensor in getattr(model, "outputs", None) or []]
    if len(names) != len(flat):
        names = ["output"] if len(flat) == 1 else [f"output_{index}" for index in range(len(flat))]
    return dict(zip(_distinct(names), flat))


def _layer_name(tensor: Any) -> str:
    return str(tensor._keras_history.operation.name)


def _distinct(names: Iterable[str]) -> list[str]:
    """The names, later ones numbered where a layer gives several."""
    result: list[str] = []
    for name in names:
        unique, count = name, 1
        while unique in result:
            unique, count = f"{name}_{count}", count + 1
        result.append(unique)
    return result
