"""Models written as text: JSON, XML, prototxt and the text forms of the boosters."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from zoo.detection.source import BrokenFileError, Source, parse_json
from zoo.errors import UnsupportedFileError
from zoo.records import Detection

JSON_CEILING = 512 << 20


def text_file(source: Source) -> Detection | None:
    """What a text file is, None for one of no known kind."""
    head = source.head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not head or b"\0" in head[:4096]:
        return None
    if head[:1] in b"{[":
        return _json(source, head)
    if head[:1] == b"<":
        return _xml(head)
    return next((found for look in _LOOKS if (found := look(head))), None)


# --- JSON ---------------------------------------------------------------------------------------


def _json(source: Source, head: bytes) -> Detection | None:
    if source.size > JSON_CEILING:
        return _by_first_key(head)
    try:
        value = parse_json(source.read(0, source.size))
    except BrokenFileError as error:
        if found := _by_first_key(head):
            raise UnsupportedFileError(
                f"{source.path.name} is a damaged {found.description}: {error}", hint="Get the file again."
            ) from error
        return None
    if isinstance(value, dict):
        return _json_object(value)
    if isinstance(value, list) and value and isinstance(value[0], dict) and "nodeid" in value[0]:
        raise UnsupportedFileError(
            f"{source.path.name} is an XGBoost dump (text for people, without all that the model needs)",
            hint="Save the model with `booster.save_model('model.json')`.",
        )
    return None


def _by_first_key(head: bytes) -> Detection | None:
    if re.match(rb'\{\s*"learner"', head):
        return Detection("xgboost", "json", "XGBoost model (JSON)")
    if re.match(rb'\{\s*"nodes"', head):
        return Detection("mxnet", "symbol", "MXNet symbol (JSON)")
    return None


def _json_object(value: dict[str, Any]) -> Detection | None:
    keys = value.keys()
    if "learner" in keys and isinstance(value["learner"], dict):
        return _xgboost(value)
    if {"nodes", "arg_nodes", "heads"} <= keys:
        version = (value.get("attrs") or {}).get("mxnet_version")
        return Detection("mxnet", "symbol", "MXNet symbol (JSON)", {"mxnet_version": version})
    if "oblivious_trees" in keys or {"model_info", "features_info"} <= keys:
        return Detection("catboost", "json", "CatBoost model (JSON)")
    if isinstance(value.get("base_code"), dict) and value["base_code"].get("magic") == "pir":
        return Detection(
            "paddle",
            "json",
            "PaddlePaddle program (PIR JSON)",
            {"version": value["base_code"].get("version")},
        )
    if "modelTopology" in keys:
        form = value.get("format", "layers-model")
        return Detection(
            "tensorflowjs", "json", f"TensorFlow.js {form}", {"generated_by": value.get("generatedBy")}
        )
    if "tree_info" in keys and "feature_names" in keys:
        return Detection("lightgbm", "json_dump", "LightGBM dump (JSON), which LightGBM itself cannot load")
    if "class_name" in keys and "config" in keys:
        return Detection(
            "tensorflow", "config", "Keras architecture without weights", {"class": value["class_name"]}
        )
    return _huggingface(value)


def _xgboost(value: dict[str, Any]) -> Detection:
    learner = value["learner"]
    version = ".".join(map(str, value.get("version", ()))) or None
    objective = (learner.get("objective") or {}).get("name")
    details = {"objective": objective, "versions": {"xgboost": version} if version else {}}
    return Detection(
        "xgboost", "json", f"XGBoost {version or ''} model (JSON), {objective}".replace("  ", " "), details
    )


def _huggingface(value: dict[str, Any]) -> Detection | None:
    if "architectures" in value or "model_type" in value or "transformers_version" in value:
        raise UnsupportedFileError(
            "a Hugging Face config.json, which is only part of a model",
            hint="Give the folder that holds config.json and the weights.",
        )
    return None


# --- XML ----------------------------------------------------------------------------------------


def _xml(head: bytes) -> Detection | None:
    body = re.sub(rb"<\?xml.*?\?>|<!--.*?-->", b"", head[:8192], flags=re.DOTALL).lstrip()
    match = re.search(rb'version="([\d.]+)"', body[:1000])
    version = match[1].decode() if match else "?"
    if body.startswith(b"<PMML"):
        return Detection("pmml", "model", f"PMML {version} model")
    if body.startswith(b"<net ") and b"<layer" in body:
        return Detection("openvino", "xml", f"OpenVINO IR version {version}")
    return None


# --- plain text ---------------------------------------------------------------------------------


def _lightgbm(head: bytes) -> Detection | None:
    match = re.match(rb"tree\r?\n(?:version=(v\d+)\r?\n)?", head)
    if not match or b"num_class=" not in head[:2000]:
        return None
    version = match[1].decode() if match[1] else "v1"
    objective = re.search(rb"^objective=([^\r\n]*)", head, re.MULTILINE)
    details = {
        "format": version,
        "objective": objective[1].decode("utf-8", "replace") if objective else None,
    }
    return Detection("lightgbm", "text", f"LightGBM model (text {version})", details)


def _prototxt(head: bytes) -> Detection | None:
    if re.search(rb"^\s*layers?\s*\{", head, re.MULTILINE) and re.search(rb"\b(bottom|top)\s*:", head):
        return Detection("caffe", "prototxt", "Caffe network description (prototxt)")
    if re.search(rb"^\s*node\s*\{", head, re.MULTILINE) and re.search(rb"\bop\s*:\s*\"", head):
        return Detection("tensorflow", "graph_text", "TensorFlow GraphDef as text (pbtxt)")
    if re.search(rb"^\s*(ir_version|opset_import|graph)\s*[:{]", head, re.MULTILINE) and b"op_type" in head:
        return Detection("onnx", "text", "ONNX model as text (pbtxt)")
    return None


def _others(head: bytes) -> Detection | None:
    if head.startswith(b"svm_type ") and b"kernel_type " in head[:400]:
        return Detection("libsvm", "text", "LibSVM model (text)")
    if head.startswith(b"solver_type ") and b"nr_class" in head[:400]:
        return Detection("liblinear", "text", "LIBLINEAR model (text)")
    if re.match(rb"(#[^\n]*\n|\s)*\[net(work)?\]", head):
        return Detection("darknet", "cfg", "Darknet network description")
    if re.match(rb"booster\[\d+\]:?\r?\n0:", head):
        raise UnsupportedFileError(
            "an XGBoost dump (text for people, without all that the model needs)",
            hint="Save the model with `booster.save_model('model.json')`.",
        )
    return None


_LOOKS: tuple[Callable[[bytes], Detection | None], ...] = (_lightgbm, _prototxt, _others)
