"""Chainer: parameters of ``save_npz`` with a builder, and pickled chains, by Chainer 7's onnx_chainer."""

from __future__ import annotations

from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, ClassVar, Mapping, Optional

from converters import onnx_checks
from converters.onnx_tidy import name_inputs, set_dims, strip_provenance
from converters.tried_signature import described, narrowed, sample_arrays, sample_specs
from zoo.errors import MissingInputError, UnsupportedModelError
from zoo.records import SourceDescription, TensorSpec, record

if TYPE_CHECKING:
    import numpy as np
    import onnx

    from zoo.records import Artifact, ConversionRequest
    from zoo.tensors import Tensors

DEFAULT_OPSET = 11


@record
class ChainerModel:
    """A chain with its parameters, and the names of what it takes."""

    chain: Any
    inputs: tuple[str, ...]


class ChainerConverter:
    """Converts Chainer chains; see `docs/frameworks/chainer.md`."""

    framework: ClassVar[str] = "chainer"
    title: ClassVar[str] = "Chainer"
    requirements: ClassVar[tuple[str, ...]] = ("chainer", "onnx")
    extra: ClassVar[str] = "chainer"
    revision: ClassVar[int] = 1

    def __init__(self) -> None:
        self._twin: Optional[tuple[ChainerModel, Any]] = None

    def load(self, artifact: Artifact, request: ConversionRequest) -> ChainerModel:
        """The chain of an ``.npz`` of parameters and a builder, or of a pickle.

        Options: ``builder`` and ``builder_kwargs``, ``prefix``, ``strict``; ``classes`` (a file that defines
        a pickled chain's class).
        """
        from converters import chainer_loading

        chain = chainer_loading.load(artifact.path, request)
        return ChainerModel(chain, chainer_loading.parameter_names(chain))

    def describe(self, model: ChainerModel, request: ConversionRequest) -> SourceDescription:
        """Inputs as asked or sampled; outputs as they come at two batch sizes.

        Raises `MissingInputError` where nothing says the shapes: a chain never does.
        """
        specs = _inputs(model, request)
        names = tuple(spec.name for spec in specs)
        description = described(
            lambda feeds: _predicted(model, names, feeds), specs, request, _table_rows(model, specs)
        )
        return replace(description, versions={name: version(name) for name in ("chainer", "onnx")})

    def convert(self, model: ChainerModel, request: ConversionRequest) -> onnx.ModelProto:
        """The chain as ONNX at opset 11, or at the requested one from 8 on.

        Raises `UnsupportedModelError` for functions without an ONNX form, and a batch that cannot
        be freed.
        """
        from converters.chainer_model import exported

        promised = self.describe(model, request).signature
        graph = exported(model.chain, promised.inputs, _opset(request))
        name_inputs(graph, promised.inputs)
        promises = {spec.name: spec for spec in (*promised.inputs, *promised.outputs)}
        for value in (*graph.graph.input, *graph.graph.output):
            set_dims(value, promises[value.name].shape)
        strip_provenance(graph)
        return onnx_checks.finished(graph, promised)

    def predict(self, model: ChainerModel, feeds: Mapping[str, np.ndarray]) -> Tensors:
        """Chainer's answer in evaluation mode."""
        return _predicted(model, tuple(feeds), feeds)

    def predict_precise(self, model: ChainerModel, feeds: Mapping[str, np.ndarray]) -> Optional[Tensors]:
        """The chain's answer in float64, None for one that has none."""
        from converters.chainer_precise import precise_twin, predicted

        if self._twin is None or self._twin[0] is not model:
            self._twin = (model, precise_twin(model.chain))
        twin = self._twin[1]
        return None if twin is None else predicted(twin, _order(model, tuple(feeds), feeds), feeds)


def _predicted(model: ChainerModel, names: tuple[str, ...], feeds: Mapping[str, np.ndarray]) -> Tensors:
    from converters.chainer_model import run

    return run(model.chain, _order(model, names, feeds), feeds)


def _order(model: ChainerModel, names: tuple[str, ...], feeds: Mapping[str, np.ndarray]) -> tuple[str, ...]:
    """The names of the inputs in the order in which the chain takes them."""
    known = tuple(name for name in model.inputs if name in feeds)
    return known if len(known) == len(names) else names


def _opset(request: ConversionRequest) -> int:
    from converters.chainer_model import OPSETS

    asked = request.opset or DEFAULT_OPSET
    if asked not in OPSETS:
        raise UnsupportedModelError(
            f"onnx_chainer does not write opset {asked}", hint=f"It writes {OPSETS[0]} to {OPSETS[-1]}."
        )
    return asked


def _inputs(model: ChainerModel, request: ConversionRequest) -> tuple[TensorSpec, ...]:
    specs = request.inputs or sample_specs(sample_arrays(model.inputs or ("x",), request) or {})
    if not specs:
        names = model.inputs or ("x",)
        example = " ".join(f"--input '{name}:float32[batch,3,224,224]'" for name in names[:3])
        raise MissingInputError(
            f"a chain does not say the shapes of its inputs ({', '.join(names)})",
            hint=f"{example} (your dtypes and shapes; a named first axis is the batch) or --sample file.npz",
        )
    places = {name: place for place, name in enumerate(model.inputs)}
    ordered = sorted(specs, key=lambda spec: places.get(spec.name, len(places)))
    return narrowed(tuple(ordered), replace(request, inputs=()))


def _table_rows(model: ChainerModel, specs: tuple[TensorSpec, ...]) -> dict[str, int]:
    """The rows of the shortest table of embeddings, for every input of whole numbers."""
    import chainer

    tables = [link.W.shape[0] for link in model.chain.links() if isinstance(link, chainer.links.EmbedID)]
    whole = [spec.name for spec in specs if spec.dtype.startswith(("int", "uint"))]
    return dict.fromkeys(whole, min(tables)) if tables else {}
