"""PyTorch: exported programs, TorchScript, weights with a builder, pickled and live modules."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Mapping, Optional

from zoo.records import Signature, SourceDescription

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from converters.torch_model import TorchModel
    from converters.torch_study import Study
    from zoo.interfaces import Layer
    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors


class TorchConverter:
    """Converts torch models by the route that keeps their dynamic axes and their numbers."""

    framework = "torch"
    title = "PyTorch"
    requirements = ("torch", "onnxscript")
    extra = "torch"
    revision = 2

    def __init__(self) -> None:
        self._twin: Optional[tuple[TorchModel, Optional[TorchModel]]] = None

    def load(self, artifact: Artifact, request: ConversionRequest) -> TorchModel:
        """The model of a ``.pt2``, TorchScript, state_dict, safetensors or pickle file, or a folder.

        Options: ``builder`` and ``builder_kwargs`` (weights only), ``state_key``, ``prefix``, ``drop``,
        ``strict``, ``classes`` (a file that defines a pickled module's classes), ``submodule``.
        """
        from converters.torch_loading import load

        return load(artifact.path, request)

    def describe(self, model: Any, request: ConversionRequest) -> SourceDescription:
        """Inputs as asked, found or declared; outputs and sizes as seen by running the model.

        Raises `MissingInputError` where nothing says the shapes, `UnsupportedModelError` where the
        model does not run on them.
        """
        from converters.torch_model import as_torch_model

        study = _study(as_torch_model(model), request)
        return SourceDescription(
            signature=Signature(study.inputs, study.outputs),
            domains=study.domains,
            versions=_versions(),
            notes=study.notes,
            axes=study.axes,
            arithmetic=as_torch_model(model).arithmetic,
        )

    def predict_precise(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Optional[Tensors]:
        """torch's answer in float64, None for a model that has none."""
        from converters.torch_model import as_torch_model
        from converters.torch_precise import precise_twin, predicted

        torch_model = as_torch_model(model)
        if self._twin is None or self._twin[0] is not torch_model:
            self._twin = (torch_model, precise_twin(torch_model))
        twin = self._twin[1]
        return None if twin is None else predicted(twin, feeds)

    def layers(self, model: Any, feeds: Mapping[str, np.ndarray]) -> list[Layer]:
        """What every layer gives for `feeds`, in the order of the calls."""
        from converters.torch_layers import layers
        from converters.torch_model import as_torch_model

        return layers(as_torch_model(model), feeds)

    def convert(self, model: Any, request: ConversionRequest) -> onnx.ModelProto:
        """The model as ONNX; ``zoo.route`` in its metadata says how it got there.

        Raises `UnsupportedModelError` for a model that is random, in training mode or stateful, and
        where no route keeps a promised dynamic axis.
        """
        from converters.torch_guards import refuse_unrepeatable
        from converters.torch_model import as_torch_model
        from converters.torch_routes import Plan, export

        torch_model = as_torch_model(model)
        study = _study(torch_model, request)
        refuse_unrepeatable(torch_model, study)
        exported = export(Plan(torch_model, study, request.opset), request.options.get("route"))
        graph: onnx.ModelProto = exported.graph
        graph.metadata_props.add(key="zoo.route", value=exported.route)
        if exported.finding is not None:
            graph.metadata_props.add(key="zoo.route_finding", value=exported.finding.reason)
        return graph

    def predict(self, model: Any, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """What the model answers in evaluation mode, without gradients."""
        from converters.torch_model import as_torch_model

        return as_torch_model(model).predict(feeds)


def _study(model: TorchModel, request: ConversionRequest) -> Study:
    """Computed once for a loaded model and request: `describe` and `convert` both need it."""
    from converters.torch_study import study

    if model.studied is None or model.studied[0] != request:
        model.studied = (request, study(model, request))
    return model.studied[1]  # type: ignore[no-any-return]


def _versions() -> dict[str, str]:
    """What decides the numbers."""
    used = ("torch", "onnxscript", *(["transformers"] if "transformers" in sys.modules else []))
    return {name: version(name) for name in used}


def preload() -> None:
    """Import what every job of these converters needs; called before the first one, in a warm worker."""
    for name in ("onnx", "torch.onnx"):
        import_module(name)
