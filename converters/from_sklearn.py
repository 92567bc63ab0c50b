"""scikit-learn models and pipelines, and the boosters inside them: the same answer, or a refusal.

The graph is written by `converters.classical`, step by step in the source's own arithmetic; see
docs/classical.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, Collection, Mapping

from converters.classical import answers, loading, probing
from converters.classical.graph import Graph
from converters.classical.layout import Asked, Layout, enter, layout, rows
from converters.classical.releases import explained
from zoo.errors import ConversionError, UnsupportedModelError
from zoo.records import Signature, SourceDescription, TensorSpec

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.interfaces import Layer
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors


class SklearnConverter:
    """Pickled or joblib-saved scikit-learn estimators."""

    framework: ClassVar[str] = "sklearn"
    title: ClassVar[str] = "scikit-learn"
    requirements: ClassVar[tuple[str, ...]] = ("scikit-learn", "pandas")
    extra: ClassVar[str] = "sklearn"
    revision: ClassVar[int] = 3

    def __init__(self) -> None:
        self._saved_by: dict[str, str] = {}
        self._last: tuple[Any, Layout] | None = None

    def load(self, artifact: Artifact, request: ConversionRequest) -> Any:
        """The fitted estimator. ``options["steps"]`` names files that are chained behind the first.

        Raises `UnsupportedFileError`, `MissingPackageError`, `MissingInputError`, or
        `UnsupportedModelError` for versions that are known to answer otherwise today.
        """
        saved = loading.load(loading.files(artifact.path, request.options.get("steps")))
        self._saved_by = dict(saved.saved_by)
        if not any(hasattr(saved.model, method) for method in answers.METHODS):
            raise UnsupportedModelError(
                f"the file holds a {type(saved.model).__name__}, not a fitted estimator",
                hint="Save the estimator or pipeline itself: joblib.dump(pipeline, path).",
            )
        return saved.model

    @explained()
    def describe(self, model: Any, request: ConversionRequest) -> SourceDescription:
        """Inputs derived from the fitted attributes, outputs from the source's answer to one row."""
        found = self._layout(model, request)
        row = self._row(model, found, request)
        with probing.quiet():
            arrays, roles = answers.observed(model, rows(found, row))
        outputs = tuple(_spec(name, array) for name, array in arrays.items())
        domains = probing.domains(model, found, row)
        notes = _notes(found)
        return SourceDescription(Signature(found.specs, outputs), domains, roles, self._versions(), notes)

    @explained()
    def convert(self, model: Any, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX. Raises `UnsupportedModelError` naming the step that cannot be said."""
        found = self._layout(model, request)
        with probing.quiet():
            arrays, _ = answers.observed(model, rows(found, self._row(model, found, request)))
        graph = Graph()
        values = answers.written(graph, model, enter(graph, found), arrays)
        if set(values) != set(arrays):
            raise ConversionError(f"the graph gives {sorted(values)}, the source {sorted(arrays)}")
        for name, array in arrays.items():
            spec = _spec(name, array)
            if spec.dtype != values[name].dtype:
                raise ConversionError(
                    f"output {name}: {values[name].dtype} in the graph, {spec.dtype} in the source"
                )
            graph.output(name, values[name], spec.shape)
        return graph.build(request.opset)

    def predict(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """scikit-learn's own answers for the rows of `feeds`, under the graph's output names."""
        return self.predict_some(model, feeds)

    def predict_some(
        self, model: Any, feeds: Mapping[str, np.ndarray], names: Collection[str] | None = None
    ) -> Tensors:
        """The same; its methods whose answers are not among `names` are not called."""
        found = self._reading(model)
        with probing.quiet():
            arrays, _ = answers.observed(model, rows(found, feeds), names)
        return arrays

    def layers(self, model: Any, feeds: Mapping[str, np.ndarray]) -> list[Layer]:
        """What every step of a pipeline gives for `feeds`."""
        from converters.classical.steps import steps

        with probing.quiet():
            return steps(model, rows(self._reading(model), feeds))

    def _reading(self, model: Any) -> Layout:
        """The layout of the model, kept for the next feed: facts of a large forest take a while."""
        if self._last is None or self._last[0] is not model:
            self._last = (model, layout(model))
        return self._last[1]

    def _layout(self, model: Any, request: ConversionRequest) -> Layout:
        sampled = tuple(probing.sampled_specs(request.sample))
        return layout(model, Asked(request.inputs, sampled, bool(request.options.get("float32", False))))

    def _row(self, model: Any, found: Layout, request: ConversionRequest) -> dict[str, np.ndarray]:
        sampled = probing.sampled_row(found, request.sample)
        return probing.plain_row(model, found) if sampled is None else sampled

    def _versions(self) -> dict[str, str]:
        import sklearn

        saved = {f"saved by scikit-learn ({name})": version for name, version in self._saved_by.items()}
        return {"scikit-learn": sklearn.__version__, **saved}


def _spec(name: str, array: np.ndarray) -> TensorSpec:
    dtype = "string" if array.dtype.kind == "U" else str(array.dtype)
    return TensorSpec(name, dtype, ("batch", *array.shape[1:]))


def _notes(found: Layout) -> tuple[str, ...]:
    if any(feature.missing for feature in found.features):
        return ("ONNX has no missing text: the empty string stands for a missing value.",)
    return ()


def preload() -> None:
    """Import what every job of these converters needs; called before the first one, in a warm worker."""
    for name in ("joblib", "onnx", "sklearn.compose", "sklearn.ensemble"):
        import_module(name)
