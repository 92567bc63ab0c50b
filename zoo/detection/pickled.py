"""What a pickle holds: which library's object, written by which version."""

from __future__ import annotations

import re
from typing import Any

from zoo.detection.audits.globals import TENSORS
from zoo.detection.pickle_values import WRAPPERS
from zoo.detection.pickles import GLIMPSE, Elided, Global, Made, Pairs, Scan, scan
from zoo.detection.source import UNPACK_ERRORS, Source, Tape, compression, decompressed
from zoo.errors import UnsupportedFileError
from zoo.records import Detection

UNPACK_CEILING = 1 << 30
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_STARTS = b"\x80(c]})lIKVU"
FRAMEWORKS = {
    "sklearn": "sklearn",
    "imblearn": "sklearn",
    "sklearn_pandas": "sklearn",
    "mlxtend": "sklearn",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "catboost": "catboost",
    "_catboost": "catboost",
    "torch": "torch",
    "torchvision": "torch",
    "keras": "tensorflow",
    "tensorflow": "tensorflow",
    "statsmodels": "statsmodels",
    "pyspark": "spark",
    "chainer": "chainer",
    "paddle": "paddle",
    "jax": "jax",
    "jaxlib": "jax",
    "flax": "jax",
}
_PLAIN = {"numpy", "pandas", "scipy"}
# Modules that scikit-learn 0.22 renamed or moved.
_OLD_LAYOUT = re.compile(
    r"sklearn\.(tree\.tree|ensemble\.(forest|bagging|voting|gradient_boosting|weight_boosting|base|iforest)|svm\.classes"
    r"|linear_model\.(logistic|base|ridge|stochastic_gradient|coordinate_descent)|neighbors\.(classification|regression)"
    r"|preprocessing\.(data|label|imputation|_encoders)|cluster\.k_means_|decomposition\.(pca|nmf)|naive_bayes\.\w+"
    r"|neural_network\.multilayer_perceptron|externals\.joblib.*|feature_extraction\.(hashing|dict_vectorizer))$"
)


def pickle_file(source: Source) -> Detection | None:
    """A pickle or joblib file, compressed or not; None where the bytes are no pickle."""
    packed = compression(source.head)
    if source.head[:1] and (packed or source.head[:1] in (bytes([b]) for b in _STARTS)):
        tape = _tape(source, packed)
        return None if tape is None else _identify(source, tape, packed)
    return None


def _tape(source: Source, packed: str | None) -> Tape | None:
    if packed is None:
        return source.tape()
    if packed in ("lz4", "zstd"):
        return None
    try:
        tape = decompressed(source, packed, UNPACK_CEILING)
        begins = tape.read(2)
    except UNPACK_ERRORS:
        return None
    return decompressed(source, packed, UNPACK_CEILING) if begins[:1] in (b"\x80", b"(", b"c", b"]") else None


def _identify(source: Source, tape: Tape, packed: str | None) -> Detection | None:
    found = scan(tape, GLIMPSE, joblib=True)
    if found.top == TORCH_MAGIC and found.broken is None:
        return _legacy_torch(source, tape)
    if found.broken is not None and not _told_enough(found):
        if source.head[:1] == b"\x80" and found.opcodes > 2:
            raise UnsupportedFileError(
                f"{source.path.name} is a damaged pickle: {found.broken}",
                hint="The file is cut off or was changed on its way; get it again.",
            )
        return None
    if not found.globals and found.protocol == 0 and not isinstance(found.top, Pairs):
        return None
    return describe(source, found, packed)


def _told_enough(found: Scan) -> bool:
    return found.opcodes > GLIMPSE or "unpacks to more than" in (found.broken or "")


def describe(source: Source, found: Scan, packed: str | None) -> Detection:
    """The detection for a scanned pickle; raises `UnsupportedFileError` for objects of no framework."""
    kind = "joblib" if found.joblib or packed else "pickle"
    holder, cls = main_object(found.top)
    framework = framework_of(cls)
    details = _details(found, cls, holder, packed)
    if framework == "torch":
        return Detection("torch", "module", f"plain pickle of {cls}", {**details, "container": "pickle"})
    if framework is None:
        return _unframed(source, found, details, kind)
    where = f" in a {holder}" if holder else ""
    version = next(iter(details.get("versions", {}).items()), None)
    wrote = f", {version[0]} {version[1]}" if version else ""
    form = "joblib file" if kind == "joblib" else "pickle"
    return Detection(framework, kind, f"{form} of {cls}{where}{wrote}", details)


def _unframed(source: Source, found: Scan, details: dict[str, Any], kind: str) -> Detection:
    roots = {g.module.partition(".")[0] for g in found.globals}
    if "cls" not in details and _only_data(roots):
        what = f"{kind} of arrays and plain values, with no model in it"
        return Detection("numpy", kind, what, details)
    named = details.get("class") or type(found.top).__name__
    if roots & {"sklearn", "imblearn"}:
        # The author's own class around scikit-learn: the converter decides, with that code at hand.
        return Detection("sklearn", kind, f"{kind} of {named}, which uses scikit-learn", details)
    if "chainer" in roots:
        return Detection("chainer", kind, f"{kind} of {named}, which uses Chainer", details)
    raise UnsupportedFileError(
        f"{source.path.name} is a {kind} of {named}, which belongs to no framework that zoo knows",
        hint="Give a model of a known framework, or install a converter plugin for this one.",
    )


def _only_data(roots: set[str]) -> bool:
    return roots <= _PLAIN | {
        "joblib",
        "builtins",
        "__builtin__",
        "collections",
        "copyreg",
        "copy_reg",
        "_codecs",
    }


def main_object(top: Any) -> tuple[str | None, Global | None]:
    """(container, class) of the object of a framework: the top itself, or the first one in a container."""
    if isinstance(top, Made):
        return None, top.cls
    items: list[Any] = []
    if isinstance(top, Pairs):
        items = list(top[1::2])
    elif isinstance(top, (list, tuple)):
        items = list(top)
    classes = [item.cls for item in items if isinstance(item, Made) and item.cls]
    known = [cls for cls in classes if framework_of(cls)]
    name = "dict" if isinstance(top, Pairs) else type(top).__name__
    return name, known[0] if known else None


def framework_of(cls: Global | None) -> str | None:
    """The framework that a class belongs to, None for no or an unknown one."""
    return FRAMEWORKS.get(cls.module.partition(".")[0]) if cls else None


def _details(found: Scan, cls: Global | None, holder: str | None, packed: str | None) -> dict[str, Any]:
    details: dict[str, Any] = {"protocol": found.protocol}
    if cls:
        details["class"] = str(cls)
    if holder:
        details["holder"] = holder
    if packed:
        details["compression"] = packed
    modules = {g.module for g in found.globals}
    details["packages"] = sorted({name.partition(".")[0] for name in modules})
    details["modules"] = sorted(modules)[:200]
    if versions := library_versions(found):
        details["versions"] = versions
    if estimators := sklearn_classes(found):
        details["sklearn_classes"] = estimators
    if len(stated := sklearn_versions(found)) > 1:
        details["sklearn_versions"] = stated
    if found.joblib:
        details["joblib"] = joblib_layout(found)
    if {"copy_reg", "__builtin__"} & modules:
        details["python2_names"] = True
    if any(name.startswith("numpy._core") for name in modules):
        details["numpy"] = ">=2"
    if found.broken:
        details["incomplete"] = found.broken
    return details


def library_versions(found: Scan) -> dict[str, str]:
    """Versions that the pickle itself states, or that the places of its modules betray."""
    versions: dict[str, str] = {}
    stated = sklearn_versions(found)
    if stated:
        versions["scikit-learn"] = stated[-1]
    elif any(_OLD_LAYOUT.match(g.module) for g in found.globals):
        versions["scikit-learn"] = "<0.22"
    for value in found.watched.get("__model", []):
        versions |= _catboost_version(b"".join(_ends(value)))
    for key in ("handle", "_handle", "_model_str", "model_str"):
        for value in found.watched.get(key, []):
            versions |= _booster_version(value)
    return versions


def sklearn_versions(found: Scan) -> list[str]:
    """Each version that an estimator says of itself; scikit-learn writes its own into every one (0.18 on)."""
    stated = found.watched.get("_sklearn_version", [])
    return list(dict.fromkeys(value for value in stated if isinstance(value, str)))


def sklearn_classes(found: Scan) -> list[str]:
    """The classes of scikit-learn that are named, by the modules that they were in."""
    own = [g for g in found.globals if g.module.partition(".")[0] == "sklearn" and g.name[:1].isupper()]
    return sorted({str(g) for g in own})[:500]


def joblib_layout(found: Scan) -> str:
    """The joblib that wrote the arrays, as far as their layout tells: it is aligned since 1.2."""
    if any(g.module.startswith("sklearn.externals.") for g in found.globals):
        return "of scikit-learn < 0.23"
    wrappers = {g.name for g in found.globals if g.name in WRAPPERS}
    if wrappers != {"NumpyArrayWrapper"}:
        return "<0.10"
    return ">=1.2" if found.aligned else ">=0.10,<1.2"


def _booster_version(value: Any) -> dict[str, str]:
    head, tail = _ends(value)
    if match := re.match(rb"tree\nversion=(v\d+)", head):
        return {"lightgbm model format": match[1].decode()}
    return xgboost_version(head + tail)


def _catboost_version(data: bytes) -> dict[str, str]:
    """The version in the build information of a CatBoost model, as far as it was kept."""
    match = re.search(rb"Branch: tags/v(\d+(?:\.\d+)+)\s", data)
    return {"catboost": match[1].decode()} if match else {}


def xgboost_version(data: bytes) -> dict[str, str]:
    """The version that an XGBoost JSON or UBJSON document states."""
    if match := re.search(rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)', data):
        return {"xgboost": ".".join(part.decode() for part in match.groups())}
    if match := re.search(rb"version\[(?:#L.{7}(.))?((?:[iUIlL].){3})", data, re.DOTALL):
        numbers = match[2][1::2]
        return {"xgboost": ".".join(str(number) for number in numbers)}
    return {}


def _ends(value: Any) -> tuple[bytes, bytes]:
    if isinstance(value, Elided):
        return value.head, value.tail
    if isinstance(value, Made):  # bytearray(b"…"), _codecs.encode("…", "latin1")
        inner = value.args[0] if isinstance(value.args, tuple) and value.args else b""
        return _ends(inner)
    if isinstance(value, str):
        return value.encode("latin-1", "replace"), b""
    return (value, b"") if isinstance(value, bytes) else (b"", b"")


# --- torch ----------------------------------------------------------------------------------------


def torch_detection(found: Scan, container: str, more: dict[str, Any] | None = None) -> Detection:
    """state_dict where only tensors and containers are named, module where classes are."""
    details = {**_details(found, _torch_class(found), None, None), "container": container, **(more or {})}
    classes = [g for g in found.globals if not TENSORS.fullmatch(str(g))]
    if found.broken:
        raise UnsupportedFileError(
            f"a PyTorch file whose pickle is damaged: {found.broken}", hint="Get the file again."
        )
    if isinstance(found.top, Pairs):
        details["keys"] = [str(key) for key in found.top[::2]][:50]
    elif isinstance(found.top, Made):
        details["keys"] = [str(key) for key in found.top.items[::2]][:50]
    if not classes:
        return Detection("torch", "state_dict", "PyTorch state_dict", details)
    details["classes"] = [str(g) for g in classes][:50]
    named = details.get("class") or details["classes"][0]
    return Detection("torch", "module", f"pickled PyTorch module {named}", details)


def _torch_class(found: Scan) -> Global | None:
    cls = found.top.cls if isinstance(found.top, Made) else main_object(found.top)[1]
    return None if cls is None or TENSORS.fullmatch(str(cls)) else cls


def _legacy_torch(source: Source, tape: Tape) -> Detection:
    """The format of torch < 1.6: magic number, protocol, system, object, keys, raw storages."""
    for part in ("protocol", "system"):
        head = scan(tape, GLIMPSE)
        if head.broken:
            raise UnsupportedFileError(
                f"{source.path.name} is a PyTorch file damaged in its {part}: {head.broken}"
            )
    return torch_detection(scan(tape, GLIMPSE), "legacy")
