"""Loading Chainer: parameters saved by ``save_npz`` into a chain that a builder makes, and pickled chains."""

from __future__ import annotations

import inspect
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from converters.onnx_checks import short
from converters.torch_code import imported, provide_classes
from zoo.errors import MissingInputError, UnsupportedFileError, UnsupportedModelError, UsageError

if TYPE_CHECKING:
    from zoo.records import ConversionRequest

_PREFIXES = ("", "predictor/", "updater/model:main/", "updater/model:main/predictor/")
"""Where a chain's own parameters are in a file: alone, in a Classifier, in a trainer's snapshot."""


def load(path: Path, request: ConversionRequest) -> Any:
    """The chain in `path`; `request.kind` says how to read it.

    Raises `MissingInputError` where parameters come without a builder, `UnsupportedModelError` where they do
    not fit it, `UnsupportedFileError` for a damaged file.
    """
    if request.kind == "npz":
        return _with_parameters(path, request.options)
    return _unpickled(path, request.options)


def _with_parameters(path: Path, options: Mapping[str, Any]) -> Any:
    target = options.get("builder")
    if target is None:
        raise MissingInputError(
            f"{path.name} holds parameters only; the chain that they belong to is not in the file",
            hint="--builder module:callable (or net.py:callable) gives the class or function that builds it.",
        )
    arrays = _arrays(path)
    chain = _built(imported(str(target), path.parent), target, dict(options.get("builder_kwargs") or {}))
    _fill(chain, arrays, options, path.name)
    return chain


def _arrays(path: Path) -> dict[str, Any]:
    """The arrays by name; those of objects are refused, for they are pickles."""
    import zipfile
    import zlib

    import numpy as np

    try:
        with np.load(str(path), allow_pickle=False) as data:
            return {name: data[name] for name in data.files}
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise UnsupportedFileError(
            f"{path.name} cannot be read: {short(str(error))}",
            hint="Is it complete? A parameter that was never initialised is saved as a pickled None: "
            "call the chain once before serializers.save_npz.",
        ) from error


def _built(build: Any, target: Any, kwargs: Mapping[str, Any]) -> Any:
    import chainer

    try:
        chain = build(**kwargs)
    except TypeError as error:
        raise UsageError(
            f"builder {target} refuses {dict(kwargs)}: {error}", hint="Give its arguments by --builder-arg."
        ) from error
    if not isinstance(chain, chainer.Link):
        raise UsageError(f"builder {target} returned a {type(chain).__name__}, not a chainer.Link")
    return chain


def _fill(chain: Any, arrays: Mapping[str, Any], options: Mapping[str, Any], name: str) -> None:
    """Give every parameter and state of `chain` its array.

    Arrays left over are refused, unless option ``strict`` is false.
    """
    from chainer.serializers import NpzDeserializer

    wanted = _paths(chain)
    prefixes = (str(options["prefix"]),) if "prefix" in options else _PREFIXES
    prefix = next((prefix for prefix in prefixes if all(prefix + path in arrays for path in wanted)), None)
    if prefix is None:
        missing = [path for path in wanted if prefixes[0] + path not in arrays]
        raise UnsupportedModelError(
            f"{name} has no array {missing[0]!r} that the builder's chain wants",
            hint=f"It has {', '.join(sorted(arrays)[:6])} …; is it the parameters of this class?",
        )
    over = sorted(path for path in arrays if path.startswith(prefix) and path[len(prefix) :] not in wanted)
    if over and options.get("strict", True):
        raise UnsupportedModelError(
            f"{name} has {len(over)} arrays that the builder's chain does not have, such as {over[0]!r}",
            hint="--option strict=false leaves them out; --option prefix=NAME/ says which part is the chain.",
        )
    try:
        NpzDeserializer(arrays, path=prefix).load(chain)
    except (ValueError, TypeError, KeyError) as error:
        raise UnsupportedModelError(
            f"{name} does not fit the builder's chain: {short(str(error))}"
        ) from error


def _paths(chain: Any) -> set[str]:
    """The names under which the chain would save what it has."""
    from chainer.serializers import DictionarySerializer

    serializer = DictionarySerializer()
    serializer.save(chain)
    return set(serializer.target)


def _unpickled(path: Path, options: Mapping[str, Any]) -> Any:
    import chainer

    if "classes" in options:
        provide_classes(str(options["classes"]), path.parent)
    try:
        with path.open("rb") as file:
            chain = pickle.load(file)
    except (AttributeError, ModuleNotFoundError) as error:
        raise UnsupportedModelError(
            f"{path.name} is a pickled chain whose class is not here: {error}",
            hint="A pickle holds no code. Give the file that defines the class (--option classes=net.py), "
            "or save the parameters with serializers.save_npz and give --builder module:callable.",
        ) from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise UnsupportedFileError(f"{path.name} cannot be read: {short(str(error))}") from error
    if not isinstance(chain, chainer.Link):
        raise UnsupportedModelError(f"{path.name} holds a {type(chain).__name__}, not a chainer.Link")
    return chain


def parameter_names(chain: Any) -> tuple[str, ...]:
    """The names of the inputs of ``forward`` (``__call__`` before Chainer 5)."""
    call = chain.forward if hasattr(chain, "forward") else type(chain).__call__.__get__(chain)
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    taken = inspect.signature(call).parameters.values()
    return tuple(p.name for p in taken if p.kind in kinds and p.default is inspect.Parameter.empty)
