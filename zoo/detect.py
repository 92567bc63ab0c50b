"""Which framework wrote this file? By its content, never by loading it, never by its name alone.

The readers in `zoo.detection` are asked in turn, from the ones that a few bytes settle to those
that look at structure. Each reads a bounded part of the file.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from zoo.detection import binaries, jax, magics, texts
from zoo.detection.folders import folder
from zoo.detection.hdf5_file import hdf5_file
from zoo.detection.pickled import pickle_file
from zoo.detection.pointers import refuse_pointer
from zoo.detection.protos import protobuf_file
from zoo.detection.source import BrokenFileError, Source
from zoo.detection.zips import zip_file
from zoo.errors import UnknownFormatError, UnsupportedFileError
from zoo.records import Detection

Reader = Callable[[Source], Detection | None]

_READERS: tuple[Reader, ...] = (
    magics.by_first_bytes,
    zip_file,
    hdf5_file,
    magics.numpy_array,
    magics.safetensors,
    binaries.xgboost_ubj,
    texts.text_file,
    jax.flax_msgpack,
    jax.exported,
    magics.by_tar,
    pickle_file,
    binaries.xgboost_binary,
    binaries.paddle_params,
    protobuf_file,
    binaries.mnn,
)


def detect(path: Path) -> Detection:
    """What wrote the file or folder at `path`.

    Raises `UnsupportedFileError`, which says what the file is and what to do, for a pointer, a web
    page, an archive, a damaged file or one of no known format.
    """
    path = Path(path)
    if not path.exists():
        raise UnsupportedFileError(f"there is no file {path}", hint="Check the path.")
    if path.is_dir():
        return folder(path)
    if not path.is_file():
        raise UnsupportedFileError(f"{path} is a device, pipe or socket, not a file")
    with Source.open(path) as source:
        return _identify(source)


def _identify(source: Source) -> Detection:
    if source.size == 0:
        raise UnsupportedFileError(
            f"{source.path.name} is empty", hint="The download broke off; get it again."
        )
    refuse_pointer(source)
    for read in _READERS:
        found = _read(read, source)
        if found is not None:
            return found
    magics.refuse_compressed(source)
    magics.refuse_checkpoint(source)
    raise _unknown(source)


def _read(read: Reader, source: Source) -> Detection | None:
    try:
        return read(source)
    except BrokenFileError:
        # Not of this reader's format after all; those whose magic settles it raise by themselves.
        return None


def _unknown(source: Source) -> UnknownFormatError:
    start = source.head[:16]
    shown = start.hex(" ") if any(byte < 9 or byte > 126 for byte in start) else repr(start.decode())
    beside = _belongs_to(source.path)
    return UnknownFormatError(
        f"{source.path.name} is of no known model format ({source.size} bytes, starting with {shown})",
        hint=beside or "`zoo convert --help` lists the formats; a plugin may add others.",
    )


def _belongs_to(path: Path) -> str | None:
    """A hint for weights that only mean something beside their network's description."""
    for suffix, what in ((".xml", "OpenVINO"), (".param", "ncnn")):
        if path.with_suffix(suffix).is_file():
            network = path.with_suffix(suffix).name
            return f"It seems to be the weights of the {what} model {network}: give that file."
    return None
