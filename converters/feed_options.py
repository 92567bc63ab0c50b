"""What the user or the registry knows of a model's inputs beyond dtype and shape.

A file of tensors or operators seldom says which values make sense: that ``sr`` is a sample rate, that
an image's height must be a multiple of 32. `ConversionRequest.options` says it::

    feeds:
      sr: {values: [16000, 8000]}          # only these
      input_ids: {low: 0, high: 30521}     # bounds, inclusive
      state: {shape: [2, batch, 128]}      # name anonymous axes, or fix a dynamic one
    axes:
      height: [32, 64, 96]                 # sizes a dynamic axis accepts
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from zoo.errors import UsageError
from zoo.records import ColumnDomain, Domain, SourceDescription, TensorSpec

_KEYS = {"values", "low", "high", "integral", "accepts_nan", "shape", "columns"}


def input_specs(specs: tuple[TensorSpec, ...], options: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    """`specs` with the shapes that ``options["feeds"]`` gives; raises `UsageError` for an unknown input."""
    feeds = _feeds(options)
    unknown = sorted(set(feeds) - {spec.name for spec in specs})
    if unknown:
        known = ", ".join(spec.name for spec in specs)
        raise UsageError(f"option feeds names no input: {', '.join(unknown)}", hint=f"Inputs: {known}")
    return tuple(_shaped(spec, feeds.get(spec.name, {})) for spec in specs)


def input_domain(name: str, options: Mapping[str, Any], default: Domain) -> Domain:
    """The domain that ``options["feeds"]`` gives for an input, else `default`."""
    given = _feeds(options).get(name, {})
    if "columns" in given:
        return Domain(tuple(_column(column, ColumnDomain()) for column in given["columns"]))
    return Domain(tuple(_column(given, column) for column in default.columns))


def axis_sizes(options: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """``options["axes"]``: sizes that each dynamic axis accepts."""
    axes = options.get("axes", {})
    if not isinstance(axes, Mapping):
        raise UsageError(f"option axes must map names to sizes, not {axes!r}")
    return {str(name): _sizes(name, sizes) for name, sizes in axes.items()}


def with_options(description: SourceDescription, options: Mapping[str, Any]) -> SourceDescription:
    """`description` with everything that the options say of its inputs."""
    signature = description.signature
    inputs = input_specs(signature.inputs, options)
    domains = description.domains or tuple(Domain() for _ in inputs)
    return replace(
        description,
        signature=replace(signature, inputs=inputs),
        domains=tuple(input_domain(s.name, options, d) for s, d in zip(inputs, domains)),
        axes={**description.axes, **axis_sizes(options)},
    )


def _feeds(options: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
    feeds = options.get("feeds", {})
    if not isinstance(feeds, Mapping) or not all(isinstance(item, Mapping) for item in feeds.values()):
        raise UsageError(f"option feeds must map input names to objects, not {feeds!r}")
    for name, item in feeds.items():
        unknown = sorted(set(item) - _KEYS)
        if unknown:
            raise UsageError(f"feeds.{name}: unknown {', '.join(unknown)}", hint=f"Keys: {sorted(_KEYS)}")
    return feeds


def _shaped(spec: TensorSpec, given: Mapping[str, Any]) -> TensorSpec:
    shape = given.get("shape")
    if shape is None:
        return spec
    if len(shape) != len(spec.shape):
        raise UsageError(f"feeds.{spec.name}.shape has {len(shape)} axes, the input has {len(spec.shape)}")
    for mine, asked in zip(spec.shape, shape):
        if isinstance(mine, int) and mine != asked:
            raise UsageError(f"feeds.{spec.name}.shape {list(shape)} contradicts the input's {spec}")
    return replace(spec, shape=tuple(shape))


def _column(given: Mapping[str, Any], default: ColumnDomain) -> ColumnDomain:
    values = tuple(given.get("values", ()))
    if values:
        return ColumnDomain(categories=values, accepts_unknown=False)
    return replace(
        default,
        low=given.get("low", default.low),
        high=given.get("high", default.high),
        integral=given.get("integral", default.integral),
        accepts_nan=given.get("accepts_nan", default.accepts_nan),
    )


def _sizes(name: object, sizes: Any) -> tuple[int, ...]:
    listed = [sizes] if isinstance(sizes, int) else list(sizes)
    if not listed or not all(isinstance(size, int) and size > 0 for size in listed):
        raise UsageError(f"axes.{name} must be sizes above zero, not {sizes!r}")
    return tuple(listed)
