"""Parameters of a JAX model, from the files that people keep them in: nested dicts of arrays."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from converters.jax_runtime import jax, library
from zoo.errors import MissingPackageError, UnsupportedFileError

if TYPE_CHECKING:
    from pathlib import Path

TRAINING = {"opt_state", "step", "tx", "apply_fn", "epoch", "rng"}
"""What a training state keeps beside the variables."""


def parameters(path: Path, kind: str) -> Any:
    """The tree of a ``.msgpack`` file of Flax, an Orbax checkpoint or a pickle, without optimiser state.

    Raises `UnsupportedFileError` for a file that cannot be read.
    """
    read = {"msgpack": _msgpack, "orbax": _orbax, "pickle": _pickle}.get(kind)
    if read is None:
        raise UnsupportedFileError(
            f"{path.name} ({kind}) is no file of JAX parameters",
            hint="Known are .msgpack files of Flax, Orbax folders, and pickles of nested dicts of arrays.",
        )
    return _without_training(read(path))


def refuse_programs(path: Path, kind: str) -> None:
    """Raise `UnsupportedFileError` for a serialised ``jax.export``."""
    if kind == "export":
        raise UnsupportedFileError(
            f"{path.name} is a serialised jax.export: StableHLO, from which nothing converts to ONNX",
            hint="Convert the parameters with the function itself: --builder module:callable.",
        )


def _without_training(tree: Any) -> Any:
    if not isinstance(tree, dict) or "params" not in tree:
        return tree
    return {name: value for name, value in tree.items() if name not in TRAINING}


def _msgpack(path: Path) -> Any:
    serialization = library("flax.serialization")
    try:
        return serialization.msgpack_restore(path.read_bytes())
    except Exception as error:
        raise _unreadable(path, "Flax", error) from error


def _orbax(path: Path) -> Any:
    checkpoint = library("orbax.checkpoint")
    place = next((path / name for name in ("default", "state", "params") if (path / name).is_dir()), path)
    try:
        restored = checkpoint.PyTreeCheckpointer().restore(str(place.resolve()))
    except Exception as error:
        raise _unreadable(path, "Orbax", error) from error
    return restored


def _pickle(path: Path) -> Any:
    jax()
    try:
        with path.open("rb") as file:
            return pickle.load(file)
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"{path.name} needs the module {error.name!r}, which is not installed",
            hint=f"Install the package that has {error.name!r}, or save plain arrays.",
        ) from error
    except Exception as error:
        raise _unreadable(path, "pickle", error) from error


def _unreadable(path: Path, reader: str, error: Exception) -> UnsupportedFileError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return UnsupportedFileError(
        f"{path.name} cannot be read by {reader}: {reason}",
        hint="It is damaged, or another version wrote it; save it anew with flax.serialization.to_bytes.",
    )
