"""What running a torch model tells of it: sizes it accepts, its outputs, the range of its indices.

A model that accepts only one size of an axis that was promised to be dynamic is refused here, not
after the export.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Mapping, Optional

from converters.feed_options import axis_sizes, input_domain
from converters.torch_domains import embedding_bounds
from converters.torch_signature import program_ranges, sample_arrays, signature_inputs
from converters.trials import Inputs, Sizes, output_shape, sampled_axes, symbols, tried
from zoo.errors import UnsupportedModelError
from zoo.records import ColumnDomain, Domain, TensorSpec, record

if TYPE_CHECKING:
    from converters.torch_model import TorchModel
    from zoo.records import ConversionRequest
    from zoo.tensors import Tensors


@record
class Study:
    """A signature that was tried: `sizes` are the bindings of its axes at which the model ran."""

    known: Inputs
    outputs: tuple[TensorSpec, ...]
    sizes: tuple[Sizes, ...]
    axes: dict[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return self.known.specs

    @property
    def domains(self) -> tuple[Domain, ...]:
        return self.known.domains

    def example(self, turn: int = 0, scale: float = 1.0) -> Tensors:
        """Arrays for every input at the sizes of `turn`."""
        return self.known.example(self.sizes[turn], turn, scale)


def study(model: TorchModel, request: ConversionRequest) -> Study:
    """Run the model at two sizes of each dynamic axis.

    Raises `UnsupportedModelError` with the model's own error where it accepts none, or only one.
    """
    request = _with_declared(model, request)
    specs = signature_inputs(model, request)
    sample = sample_arrays(model, request)
    try:
        return _studied(model, specs, request, sample)
    except UnsupportedModelError:
        if sample is None or request.inputs or not symbols(specs):
            raise
    # Only we supposed that the leading axis of the sample is free.
    fixed = tuple(TensorSpec(spec.name, spec.dtype, sample[spec.name].shape) for spec in specs)
    note = "the batch size is fixed: the model accepts no other than the sample's"
    return replace(_studied(model, fixed, request, sample), notes=(note,))


def _with_declared(model: TorchModel, request: ConversionRequest) -> ConversionRequest:
    """What a module of ours says of its values (`zoo_feeds`), unless the request says otherwise."""
    declared = getattr(model.module, "zoo_feeds", None)
    if not declared:
        return request
    feeds = {**declared, **request.options.get("feeds", {})}
    return replace(request, options={**request.options, "feeds": feeds})


def _studied(
    model: TorchModel, specs: tuple[TensorSpec, ...], request: ConversionRequest, sample: Optional[Tensors]
) -> Study:
    known = _known(model, specs, request, sample)
    trial = tried(lambda feeds: model.run(model.tensors(feeds)), known)
    if len(trial.sizes) < (2 if symbols(specs) else 1):
        raise _refused(specs, trial.sizes, trial.failure)
    domains = _domains(model, request, known, trial.sizes[0])
    return Study(
        replace(known, domains=domains),
        _outputs(trial.answers, trial.sizes),
        trial.sizes,
        trial.axes(known.specs),
    )


def _known(
    model: TorchModel, specs: tuple[TensorSpec, ...], request: ConversionRequest, sample: Optional[Tensors]
) -> Inputs:
    options = request.options
    return Inputs(
        specs,
        tuple(input_domain(spec.name, options, Domain((_cautious(spec),))) for spec in specs),
        request.seed,
        sample,
        {**sampled_axes(specs, sample), **axis_sizes(options)},
        {} if model.program is None else program_ranges(model.program, specs),
    )


def _cautious(spec: TensorSpec) -> ColumnDomain:
    """Whole numbers may be indices into a table of unknown length: 0 and 1 are in each."""
    whole = spec.dtype.startswith(("int", "uint"))
    return ColumnDomain(low=0, high=1, integral=True) if whole else ColumnDomain()


def _refused(specs: tuple[TensorSpec, ...], found: tuple[Sizes, ...], failure: str) -> UnsupportedModelError:
    what = "fails on its inputs"
    if symbols(specs):
        what = "accepts none of the sizes tried for its dynamic axes"
    if found:
        what = "runs only with " + ", ".join(f"{name}={size}" for name, size in found[0].items())
    return UnsupportedModelError(
        f"the model {what} ({', '.join(map(str, specs))}); it says: {failure}",
        hint="Check --input. --option 'axes={\"name\": [64, 96]}' gives sizes that an axis accepts.",
    )


def _domains(
    model: TorchModel, request: ConversionRequest, known: Inputs, sizes: Sizes
) -> tuple[Domain, ...]:
    """Indices of an embedding lie within its table; the options know best."""
    has_indices = any(spec.dtype.startswith("int") for spec in known.specs)
    bounds = embedding_bounds(model, known.example(sizes)) if has_indices else {}
    domains = []
    for spec in known.specs:
        rows = bounds.get(spec.name)
        found = ColumnDomain() if rows is None else ColumnDomain(low=0, high=rows - 1, integral=True)
        domains.append(input_domain(spec.name, request.options, Domain((found,))))
    return tuple(domains)


def _outputs(answers: tuple[Mapping[str, Any], ...], sizes: tuple[Sizes, ...]) -> tuple[TensorSpec, ...]:
    """Names, dtypes and shapes of the outputs."""
    first, last = answers[0], answers[-1]
    if list(first) != list(last):
        raise UnsupportedModelError(f"the outputs depend on the size: {list(first)} or {list(last)}")
    return tuple(
        TensorSpec(
            name,
            str(tensor.dtype).replace("torch.", ""),
            output_shape(name, [tuple(answer[name].shape) for answer in answers], sizes),
        )
        for name, tensor in first.items()
    )
