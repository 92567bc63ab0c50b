"""LIBSVM: text models of svm-train, in the library's own arithmetic; see docs/frameworks/libsvm.md."""

from __future__ import annotations

import ctypes
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, Mapping

from converters import libsvm_files, libsvm_graph
from converters.classical.facts import jumps
from zoo.errors import UnsupportedFileError, UsageError
from zoo.records import Domain, Signature, SourceDescription, TensorSpec, record

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.libsvm_files import SvmModel
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors


@record
class LibsvmModel:
    """A file as we parsed it, and as LIBSVM itself loaded it (`native`)."""

    parsed: Any
    native: Any


class LibsvmConverter:
    """Converts LIBSVM's models: C-SVC, nu-SVC, one-class, epsilon-SVR and nu-SVR."""

    framework: ClassVar[str] = "libsvm"
    title: ClassVar[str] = "LIBSVM"
    requirements: ClassVar[tuple[str, ...]] = ("libsvm-official",)
    extra: ClassVar[str] = "libsvm"
    revision: ClassVar[int] = 1

    def load(self, artifact: Artifact, request: ConversionRequest) -> LibsvmModel:
        """The model, parsed here and loaded by LIBSVM. Option ``features`` is the width of the input.

        Raises `UnsupportedFileError` for a damaged file.
        """
        features = request.options.get("features")
        if features is not None and (not isinstance(features, int) or features < 1):
            raise UsageError(f"option features is {features!r}", hint="It is the number of features.")
        parsed = libsvm_files.read(artifact.path, features)
        native = import_module("libsvm.svmutil").svm_load_model(str(artifact.path))
        if native is None:
            raise UnsupportedFileError(f"LIBSVM cannot load {artifact.path.name}")
        return LibsvmModel(parsed, native)

    def describe(self, model: LibsvmModel, request: ConversionRequest) -> SourceDescription:
        """One matrix X, float64 unless asked otherwise, within the range of the support vectors."""
        signature = Signature((_rows(model.parsed, request),), outputs(model.parsed))
        roles = {"label": "label", "probability_label": "label", "scores": "scores"}
        roles.update({"probabilities": "probabilities", "variable": "values"})
        given = {spec.name: roles[spec.name] for spec in signature.outputs}
        versions = {"libsvm": version("libsvm-official")}
        return SourceDescription(signature, (_domain(model.parsed),), given, versions, _notes(model.parsed))

    def convert(self, model: LibsvmModel, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX at opset 21. Raises `UnsupportedModelError` for a precomputed kernel."""
        return libsvm_graph.written(model.parsed, _rows(model.parsed, request), request.opset)

    def predict(self, model: LibsvmModel, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """LIBSVM's answers, row by row: labels, decisions, and probabilities where it has them."""
        import numpy as np

        rows = np.asarray(next(iter(feeds.values())), dtype=np.float64)
        found = [_answered(model, row) for row in rows]
        return {
            spec.name: np.array([answer[spec.name] for answer in found], dtype=spec.dtype).reshape(
                len(rows), *[size for size in spec.shape[1:] if isinstance(size, int)]
            )
            for spec in outputs(model.parsed)
        }


def outputs(model: SvmModel) -> tuple[TensorSpec, ...]:
    """What the graph gives: see docs/frameworks/libsvm.md."""
    label = TensorSpec("label", "int64", ("batch",))
    if model.svm_type == "one_class":
        return label, TensorSpec("scores", "float64", ("batch",))
    if not model.is_classifier:
        return (TensorSpec("variable", "float64", ("batch",)),)
    pairs = model.classes * (model.classes - 1) // 2
    found = (label, TensorSpec("scores", "float64", ("batch", pairs)))
    if not model.gives_probabilities:
        return found
    chances = TensorSpec("probabilities", "float64", ("batch", model.classes))
    return (*found, chances, TensorSpec("probability_label", "int64", ("batch",)))


def _rows(model: SvmModel, request: ConversionRequest) -> TensorSpec:
    width = model.vectors.shape[1]
    asked = request.inputs[0] if request.inputs else TensorSpec("X", "float64", ("batch", width))
    if len(request.inputs) > 1 or len(asked.shape) != 2 or asked.shape[1] != width:
        raise UsageError(
            f"the model has one input [batch, {width}], not {', '.join(map(str, request.inputs))}",
            hint="--option features=N widens it: rows may have features that no support vector has.",
        )
    return asked


def _domain(model: SvmModel) -> Domain:
    """The support vectors' own coordinates, feature by feature.

    They are fitted data. That they are named also keeps the verifier from taking what one rounding of an
    input does for the model's noise: the terms of a decision cancel, and LIBSVM rounds each of them.
    """
    return Domain(tuple(jumps(column).domain for column in model.vectors.T))


def _notes(model: SvmModel) -> tuple[str, ...]:
    notes = []
    if model.is_classifier:
        labels = ", ".join(map(str, model.labels))
        notes.append(
            f"scores are the decisions of the pairs, and probabilities those of the labels, of: {labels}"
        )
    if model.has_density:
        notes.append("the probability of an inlier (-s 2 -b 1) is left out")
    return tuple(notes)


def _answered(model: LibsvmModel, row: np.ndarray) -> dict[str, Any]:
    """One row, through the C functions that svm-predict calls."""
    svm = import_module("libsvm.svm")
    parsed = model.parsed
    node, _ = svm.gen_svm_nodearray(row)
    decisions = (ctypes.c_double * len(parsed.rho))()
    label = svm.libsvm.svm_predict_values(model.native, node, decisions)
    if parsed.svm_type == "one_class":
        return {"label": label, "scores": decisions[0]}
    if not parsed.is_classifier:
        return {"variable": label}
    answer = {"label": label, "scores": list(decisions)}
    if parsed.gives_probabilities:
        chances = (ctypes.c_double * parsed.classes)()
        answer["probability_label"] = svm.libsvm.svm_predict_probability(model.native, node, chances)
        answer["probabilities"] = list(chances)
    return answer
