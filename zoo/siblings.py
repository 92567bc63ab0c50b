"""Which files make up a source: the given one, those beside it that belong to it, and the author's code.

Told from names, options and the source's own bytes; nothing is loaded. Each converter reads what is listed
here (`tests/test_siblings.py` holds both to it).
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from zoo.artifacts import file_digest
from zoo.detection.audits.onnx import external_files, unsafe_location
from zoo.detection.source import BrokenFileError, Source
from zoo.records import Artifact, Detection

Options = Mapping[str, Any]


def completed(artifact: Artifact, detection: Detection, options: Options) -> Artifact:
    """`artifact` with the digests of all files that make it up; without any where it is a file by itself."""
    if artifact.path.is_dir():
        found = dict(_code(artifact.path, options))
    else:
        found = parts(artifact.path, detection, options)
    if artifact.files.keys() >= found.keys() or len(found) == 1:
        return artifact
    known = artifact.files or {artifact.path.name: artifact.digest}
    more = {name: file_digest(path) for name, path in sorted(found.items()) if name not in known}
    return replace(artifact, files={**known, **more})


def parts(path: Path, detection: Detection, options: Options) -> dict[str, Path]:
    """Every file of a source that is a file, by its path in the source's folder; those that are not there
    are left out."""
    rule = _RULES.get((detection.framework, detection.kind))
    names = [] if rule is None else list(rule(path, options))
    names += _listed(options.get("steps"))
    beside = {name: path.parent / name for name in names}
    found = {name: file for name, file in beside.items() if file.is_file()}
    return {path.name: path, **found, **dict(_code(path.parent, options))}


def external_data(model: Path) -> tuple[str, ...]:
    """The locations of an ONNX file's external data, relative to its folder; none where it does not parse,
    and none that leads out of that folder."""
    if not _mentions(model, b"location"):  # parsing a forest takes seconds, finding a word does not
        return ()
    try:
        with Source.open(model) as source:
            return tuple(name for name in external_files(source) if unsafe_location(name) is None)
    except BrokenFileError:
        return ()


def _mentions(path: Path, word: bytes) -> bool:
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return data.find(word) >= 0


# --- what belongs to a file, by its format ------------------------------------------------------------


def _external(path: Path, options: Options) -> Iterator[str]:
    yield from external_data(path)


def _matlab(path: Path, options: Options) -> Iterator[str]:
    asked = options.get("reference")
    yield from external_data(path)
    if asked != "file":
        yield path.with_suffix(".mat").name if asked is None else str(asked)


def _safetensors(path: Path, options: Options) -> Iterator[str]:
    yield "config.json"  # handed to a builder that takes one


def _paddle_program(path: Path, options: Options) -> Iterator[str]:
    yield "__params__" if path.name == "__model__" else path.with_suffix(".pdiparams").name


def _paddle_parameters(path: Path, options: Options) -> Iterator[str]:
    if path.name == "__params__":
        yield "__model__"
        return
    names = [path.with_suffix(suffix).name for suffix in (".json", ".pdmodel")]
    yield from [name for name in names if (path.parent / name).is_file()][:1]


def _mxnet_symbol(path: Path, options: Options) -> Iterator[str]:
    stem = re.sub(r"-symbol$", "", path.stem)
    epoch = str(options.get("epoch", ""))
    if epoch.isdigit():
        yield f"{stem}-{int(epoch):04d}.params"
        return
    named = re.compile(re.escape(stem) + r"(-\d{4})?\.params")
    yield from sorted(file.name for file in path.parent.iterdir() if named.fullmatch(file.name))


def _mxnet_parameters(path: Path, options: Options) -> Iterator[str]:
    yield re.sub(r"-\d{4}$", "", path.stem) + "-symbol.json"


def _caffe_network(path: Path, options: Options) -> Iterator[str]:
    yield str(options.get("weights") or f"{path.stem}.caffemodel")


def _caffe_weights(path: Path, options: Options) -> Iterator[str]:
    names = (
        [str(options["network"])] if options.get("network") else [f"{path.stem}.prototxt", "deploy.prototxt"]
    )
    yield from [name for name in names if (path.parent / name).is_file()][:1]


_RULES: dict[tuple[str, str], Callable[[Path, Options], Iterator[str]]] = {
    ("onnx", "model"): _external,
    ("matlab", "onnx"): _matlab,
    ("torch", "safetensors"): _safetensors,
    ("paddle", "json"): _paddle_program,
    ("paddle", "pdmodel"): _paddle_program,
    ("paddle", "pdiparams"): _paddle_parameters,
    ("mxnet", "symbol"): _mxnet_symbol,
    ("mxnet", "params"): _mxnet_parameters,
    ("caffe", "prototxt"): _caffe_network,
    ("caffe", "caffemodel"): _caffe_weights,
}


def _listed(steps: Any) -> list[str]:
    """The names in option ``steps``, a list or a text with commas."""
    names = steps if isinstance(steps, list) else str(steps or "").split(",")
    return [str(name).strip() for name in names if str(name).strip()]


# --- the author's code ----------------------------------------------------------------------------------


def _code(beside: Path, options: Options) -> Iterator[tuple[str, Path]]:
    """The Python files that options ``builder`` and ``classes`` name, here or beside the weights.

    A module that is installed is none of the source's files; its package is in the environment.
    """
    builder = str(options.get("builder") or "").rpartition(":")[0]
    for place in filter(None, (builder, str(options.get("classes") or ""))):
        if place.endswith(".py"):
            file = next((file for file in (Path(place), beside / place) if file.is_file()), None)
            yield from [] if file is None else [(file.name, file)]
        elif (top := place.partition(".")[0]).isidentifier() and top != "converters":
            yield from _module(top, beside)


def _module(top: str, beside: Path) -> Iterator[tuple[str, Path]]:
    for folder in (beside, Path.cwd()):
        if (folder / f"{top}.py").is_file():
            yield f"{top}.py", folder / f"{top}.py"
            return
        if (folder / top).is_dir():
            for file in sorted((folder / top).rglob("*.py")):
                yield file.relative_to(folder).as_posix(), file
            return
