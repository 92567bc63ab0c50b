"""Loading torch files of each kind into a `TorchModel`."""

from __future__ import annotations

import inspect
import json
import pickle
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Mapping

from converters.torch_code import imported, provide_classes
from converters.torch_model import TorchModel
from converters.torch_quiet import quiet
from converters.torch_transformers import load_transformers
from converters.torch_weights import load_weights, selected_weights
from zoo.errors import (
    MissingInputError,
    MissingPackageError,
    UnsupportedFileError,
    UnsupportedModelError,
    UsageError,
)

if TYPE_CHECKING:
    from zoo.records import ConversionRequest

BERT = "converters.architectures.bert:bert"
"""Builds the models of Hugging Face folders that name ``BertModel``."""


def load(path: Path, request: ConversionRequest) -> TorchModel:
    """The model in `path`, on the CPU; `request.kind` says how to read it.

    Raises `UnsupportedFileError` for a damaged file, `MissingInputError` where weights come without
    a builder, `UnsupportedModelError` where they do not fit it.
    """
    loader = _LOADERS.get(request.kind)
    if loader is None:
        raise UnsupportedFileError(f"torch files of kind {request.kind!r} cannot be read: {path.name}")
    return loader(path, request.options)


def _load_program(path: Path, options: Mapping[str, Any]) -> TorchModel:
    import torch

    with quiet():
        program = _read(path, lambda: torch.export.load(str(path)))
    return TorchModel(program.module(), program)


def _load_scripted(path: Path, options: Mapping[str, Any]) -> TorchModel:
    import torch

    with quiet():
        module = _read(path, lambda: torch.jit.load(str(path), map_location="cpu"))
    part = _submodule(module.eval(), options)
    if not hasattr(part, "forward"):
        raise UnsupportedModelError(
            f"{path.name} is a scripted {part.original_name} without forward()",
            hint="Script a module whose forward() calls the method that you want.",
        )
    return TorchModel(part)


def _load_state_dict(path: Path, options: Mapping[str, Any]) -> TorchModel:
    import torch

    try:
        state = _read(path, lambda: torch.load(path, map_location="cpu", weights_only=True))
    except pickle.UnpicklingError as error:
        raise UnsupportedModelError(
            f"{path.name} holds more than weights: {_first_line(error)}",
            hint="Save model.state_dict(), or the whole module as a file of its own: reading that runs code.",
        ) from error
    return _built(state, path, options)


def _load_safetensors(path: Path, options: Mapping[str, Any]) -> TorchModel:
    return _built(_read_safetensors(path), path, options)


def _load_module(path: Path, options: Mapping[str, Any]) -> TorchModel:
    import torch

    if "classes" in options:
        provide_classes(str(options["classes"]), path.parent)
    try:
        with warnings.catch_warnings():
            # The source code that torch < 1.13 saved beside a class; the class at hand is what runs.
            warnings.filterwarnings("ignore", category=torch.serialization.SourceChangeWarning)
            module = _read(path, lambda: torch.load(path, map_location="cpu", weights_only=False))
    except (AttributeError, ModuleNotFoundError) as error:
        raise UnsupportedModelError(
            f"{path.name} is a pickled module whose class is not here: {error}",
            hint="A pickle holds no code. Give the file that defines the class (--option classes=net.py), "
            "put its package on PYTHONPATH, or save a state_dict and give --builder module:callable.",
        ) from error
    if isinstance(module, Mapping):
        return _built(module, path, options)
    if not isinstance(module, torch.nn.Module):
        raise UnsupportedModelError(f"{path.name} holds a {type(module).__name__}, not a torch module")
    return TorchModel(_submodule(module.eval(), options))


def _load_folder(path: Path, options: Mapping[str, Any]) -> TorchModel:
    """A Hugging Face folder: ``config.json`` beside ``model.safetensors`` or ``pytorch_model.bin``."""
    import torch

    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    weights = path / "model.safetensors"
    if "builder" not in options and config.get("architectures") != ["BertModel"]:
        return TorchModel(load_transformers(path, config))
    if weights.is_file():
        state = _read_safetensors(weights)
    else:
        weights = path / "pytorch_model.bin"
        state = _read(weights, lambda: torch.load(weights, map_location="cpu", weights_only=True))
    return _built(state, weights, {"builder": BERT, **options})


_LOADERS: dict[str, Callable[[Path, Mapping[str, Any]], TorchModel]] = {
    "pt2": _load_program,
    "torchscript": _load_scripted,
    "state_dict": _load_state_dict,
    "safetensors": _load_safetensors,
    "module": _load_module,
    "hf_folder": _load_folder,
}


def _built(state: Any, path: Path, options: Mapping[str, Any]) -> TorchModel:
    """The module that the builder makes, with the weights in `state`."""
    target = options.get("builder")
    if target is None:
        raise MissingInputError(
            f"{path.name} holds weights only; the module that they belong to is not in the file",
            hint="--builder module:callable (or net.py:callable) gives the function that builds it.",
        )
    build = imported(str(target), path.parent)
    kwargs = dict(options.get("builder_kwargs") or {})
    module = _call_builder(build, target, _with_config(build, kwargs, path))
    load_weights(module, selected_weights(state, options, path.name), options, path.name)
    return TorchModel(_submodule(module.eval(), options))


def _with_config(build: Callable[..., Any], kwargs: dict[str, Any], path: Path) -> dict[str, Any]:
    """A builder that takes ``config`` gets the ``config.json`` beside the weights."""
    beside = path.parent / "config.json"
    wants = "config" in inspect.signature(build).parameters and "config" not in kwargs
    if wants and beside.is_file():
        return {"config": json.loads(beside.read_text(encoding="utf-8")), **kwargs}
    return kwargs


def _call_builder(build: Callable[..., Any], target: str, kwargs: Mapping[str, Any]) -> Any:
    import torch

    try:
        module = build(**kwargs)
    except TypeError as error:
        raise UsageError(
            f"builder {target} refuses {dict(kwargs)}: {error}", hint="Give its arguments by --builder-arg."
        ) from error
    if not isinstance(module, torch.nn.Module):
        raise UsageError(f"builder {target} returned a {type(module).__name__}, not a torch.nn.Module")
    return module


def _submodule(module: Any, options: Mapping[str, Any]) -> Any:
    name = options.get("submodule")
    if name is None:
        return module
    # Scripted modules have no get_submodule.
    for step in str(name).split("."):
        children = dict(module.named_children())
        if step not in children:
            raise UsageError(f"there is no submodule {name!r}", hint=f"Here are: {', '.join(children)}")
        module = children[step]
    return module


def _read_safetensors(path: Path) -> Any:
    try:
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingPackageError("safetensors is not installed", hint="pip install safetensors") from error
    return _read(path, lambda: load_file(str(path)))


def _read(path: Path, reader: Callable[[], Any]) -> Any:
    """`reader`'s result; what the libraries raise for damaged files becomes one readable error."""
    try:
        return reader()
    except (pickle.UnpicklingError, AttributeError, ModuleNotFoundError, MemoryError):
        raise
    except Exception as error:
        raise UnsupportedFileError(
            f"{path.name} cannot be read: {type(error).__name__}: {_first_line(error)}",
            hint="Is the download complete?",
        ) from error


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
