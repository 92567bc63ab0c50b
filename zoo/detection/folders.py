"""Model folders: SavedModel, Hugging Face, CoreML packages, Spark and the like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.detection.jax import orbax
from zoo.detection.protos import saved_model_details
from zoo.detection.source import BrokenFileError, Source, parse_json
from zoo.errors import UnknownFormatError, UnsupportedFileError
from zoo.records import Detection

CONFIG_CEILING = 16 << 20


def folder(path: Path) -> Detection:
    """What a folder holds; raises `UnsupportedFileError` for one that is no model."""
    names = sorted(child.name for child in path.iterdir())
    for look in (_saved_model, _huggingface, orbax, _others):
        if found := look(path, names):
            return found
    listed = ", ".join(names[:6]) or "nothing"
    raise UnknownFormatError(
        f"{path} is a folder with {listed}{' …' if len(names) > 6 else ''}, not a model folder",
        hint="Give the model file inside, or a folder with saved_model.pb or with config.json and weights.",
    )


def _saved_model(path: Path, names: list[str]) -> Detection | None:
    if "saved_model.pb" not in names:
        if "saved_model.pbtxt" in names:
            return Detection("tensorflow", "saved_model", "TensorFlow SavedModel (text)", {"text": True})
        return None
    try:
        with Source.open(path / "saved_model.pb") as source:
            details = saved_model_details(source)
    except BrokenFileError as error:
        raise UnsupportedFileError(
            f"{path} is a damaged SavedModel: {error}", hint="Get the folder again."
        ) from error
    details["variables"] = (path / "variables" / "variables.index").is_file()
    details["keras"] = "keras_metadata.pb" in names
    version = details["versions"].get("tensorflow", "")
    return Detection(
        "tensorflow", "saved_model", f"TensorFlow {version} SavedModel".replace("  ", " "), details
    )


_WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def _huggingface(path: Path, names: list[str]) -> Detection | None:
    weights = [name for name in names if name in _WEIGHTS or name.endswith(".safetensors")]
    if "config.json" not in names or not weights:
        return None
    config = path / "config.json"
    if config.stat().st_size > CONFIG_CEILING:
        raise UnsupportedFileError(
            f"{config} has {config.stat().st_size} bytes, too many for a configuration"
        )
    try:
        value: Any = parse_json(config.read_bytes())
    except BrokenFileError as error:
        raise UnsupportedFileError(f"{config} is no JSON: {error}") from error
    details = {
        key: value.get(key)
        for key in ("model_type", "architectures", "transformers_version", "auto_map")
        if key in value
    }
    details["weights"] = weights
    what = value.get("model_type") or "?"
    return Detection("torch", "hf_folder", f"Hugging Face {what} model folder", details)


def _others(path: Path, names: list[str]) -> Detection | None:
    if "Manifest.json" in names and (path / "Data" / "com.apple.CoreML").is_dir():
        return Detection("coreml", "mlpackage", "CoreML package")
    if "coremldata.bin" in names:
        return Detection("coreml", "mlmodelc", "compiled CoreML model, which only Apple's systems read")
    if "metadata" in names and (part := _first_part(path / "metadata")):
        return _spark(part)
    programs = [name for name in names if name.endswith((".pdmodel", ".json")) or name == "__model__"]
    if programs and any(name.endswith(".pdiparams") or name == "__params__" for name in names):
        return Detection("paddle", "folder", "PaddlePaddle inference model", {"program": programs[0]})
    return None


def _first_part(folder: Path) -> Path | None:
    """The file with Spark's metadata, which has a longer name from Spark 4 on."""
    found = sorted(folder.glob("part-00000*")) if folder.is_dir() else []
    return next((path for path in found if path.is_file()), None)


def _spark(part: Path) -> Detection | None:
    with Source.open(part) as source:
        line = source.head.split(b"\n")[0]
    try:
        value = parse_json(line)
    except BrokenFileError:
        return None
    details = {"class": value.get("class"), "versions": {"pyspark": value.get("sparkVersion", "?")}}
    return Detection("spark", "folder", f"Spark ML {value.get('class', '?').rpartition('.')[2]}", details)
