"""A signature that is not taken on trust: what a source says of its inputs, bent by the request, and run.

For sources whose files state shapes (Paddle) or leave them to the user (MXNet, Chainer).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Callable, Mapping, Optional

from converters.feed_options import axis_sizes, input_domain, input_specs
from converters.trials import BATCH, Inputs, output_shape, sampled_axes, symbols, tried
from zoo.errors import UnsupportedModelError, UsageError
from zoo.records import ColumnDomain, Domain, Signature, SourceDescription, TensorSpec
from zoo.tensors import read_sample

if TYPE_CHECKING:
    import numpy as np

    from zoo.records import ConversionRequest
    from zoo.tensors import Tensors

Run = Callable[[Mapping[str, "np.ndarray"]], Mapping[str, "np.ndarray"]]


def narrowed(stated: tuple[TensorSpec, ...], request: ConversionRequest) -> tuple[TensorSpec, ...]:
    """`stated` with the names and sizes of axes that the request gives.

    Raises `UsageError` where it names an unknown input or contradicts a fixed axis or dtype.
    """
    asked = {spec.name: spec for spec in request.inputs}
    unknown = sorted(set(asked) - {spec.name for spec in stated})
    if unknown:
        known = ", ".join(spec.name for spec in stated)
        raise UsageError(f"the model has no input {unknown[0]!r}", hint=f"Its inputs: {known}")
    specs = tuple(_narrowed(spec, asked.get(spec.name)) for spec in stated)
    return input_specs(specs, request.options)


def _narrowed(spec: TensorSpec, asked: Optional[TensorSpec]) -> TensorSpec:
    if asked is None:
        return spec
    fixed = [(mine, given) for mine, given in zip(spec.shape, asked.shape) if isinstance(mine, int)]
    if (
        asked.dtype != spec.dtype
        or len(asked.shape) != len(spec.shape)
        or any(mine != given for mine, given in fixed)
    ):
        raise UsageError(f"the model's input is {spec}; it cannot become {asked}")
    return replace(spec, shape=asked.shape)


def sample_arrays(names: tuple[str, ...], request: ConversionRequest) -> Optional[Tensors]:
    """The user's sample under the names of the inputs; arrays without a name go by their place."""
    if request.sample is None:
        return None
    places = {f"arr_{place}": name for place, name in enumerate(names)}
    places[""] = names[0]
    return {places.get(name, name): array for name, array in read_sample(request.sample).items()}


def sample_specs(sample: Tensors, dtype: str = "float32") -> tuple[TensorSpec, ...]:
    """Inputs as a sample shows them: the leading axis is the batch; float64 stands for `dtype`."""
    return tuple(
        TensorSpec(
            name,
            dtype if array.dtype.kind == "f" else str(array.dtype),
            (BATCH, *array.shape[1:]) if array.ndim else (),
        )
        for name, array in sample.items()
    )


def described(
    run: Run, specs: tuple[TensorSpec, ...], request: ConversionRequest, rows: Mapping[str, int]
) -> SourceDescription:
    """Run the source at two sizes of every named axis, and say what it takes and gives.

    `rows` is the length of the table that an input indexes, where it is known. Raises
    `UnsupportedModelError` with the source's own words where it runs at none, or at only one, and for a
    source that answers at random.
    """
    names = tuple(spec.name for spec in specs)
    sample = sample_arrays(names, request)
    axes = {**sampled_axes(specs, sample), **axis_sizes(request.options)}
    domains = tuple(input_domain(spec.name, request.options, _domain(spec, rows)) for spec in specs)
    trial = tried(run, Inputs(specs, domains, request.seed, sample, axes))
    if len(trial.sizes) < (2 if symbols(specs) else 1):
        raise _refused(specs, trial.sizes, trial.failure)
    _refuse_random(run, Inputs(specs, domains, request.seed, sample, axes).example(trial.sizes[0]))
    outputs = _outputs(trial.answers, trial.sizes)
    return SourceDescription(Signature(specs, outputs), domains, axes=trial.axes(specs))


def _refuse_random(run: Run, feeds: Tensors) -> None:
    """A source whose answer to the same question changes has none that a graph could be held to."""
    import numpy as np

    first, second = run(feeds), run(feeds)
    changed = [name for name in first if not np.array_equal(first[name], second[name], equal_nan=True)]
    if changed:
        raise UnsupportedModelError(
            f"the model is random: output {changed[0]!r} differs between two runs on the same inputs",
            hint="Save it in evaluation mode, without operations that draw random numbers.",
        )


def _domain(spec: TensorSpec, rows: Mapping[str, int]) -> Domain:
    """Whole numbers may be indices into a table of unknown length: 0 and 1 are in each."""
    whole = spec.dtype.startswith(("int", "uint"))
    if not whole and spec.name not in rows:
        return Domain()
    return Domain((ColumnDomain(low=0, high=rows.get(spec.name, 2) - 1, integral=True),))


def _outputs(
    answers: tuple[Mapping[str, np.ndarray], ...], sizes: tuple[Mapping[str, int], ...]
) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name, str(array.dtype), output_shape(name, [a[name].shape for a in answers], sizes))
        for name, array in answers[0].items()
    )


def _refused(
    specs: tuple[TensorSpec, ...], found: tuple[Mapping[str, int], ...], failure: str
) -> UnsupportedModelError:
    shown = ", ".join(map(str, specs))
    if not symbols(specs):
        what = "fails on its inputs"
    elif found:
        what = "runs only with " + ", ".join(f"{name}={size}" for name, size in found[0].items())
    else:
        what = "accepts none of the sizes tried for its dynamic axes"
    return UnsupportedModelError(
        f"the model {what} ({shown}); it says: {failure}",
        hint="Give the sizes that it takes: --input 'name:dtype[…]' with a number for a fixed axis, or "
        "--option 'axes={\"name\": [64, 96]}' for those that a dynamic one accepts.",
    )
