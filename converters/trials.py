"""Sizes and values at which a model runs, found by running it.

Shapes are promises, so each is tried: at two sizes of every dynamic axis, with values that fit.
"""

from __future__ import annotations

from dataclasses import field
from math import prod
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping, Optional

from zoo.errors import UnsupportedModelError
from zoo.records import ColumnDomain, Dim, Domain, TensorSpec, record

if TYPE_CHECKING:
    import numpy as np

    from zoo.tensors import Tensors

BATCH = "batch"
BATCH_NAMES = ("batch", "batch_size", "n", "N", "rows")

# Short first, for it is cheap; then what convolutions, strides and waveforms need.
LADDER = (7, 12, 20, 32, 64, 96, 128, 224, 256, 320, 512, 1600, 4000, 16000, 48000)
IMAGE_LADDER = (32, 64, 96, 128, 224, 256, 320, 512, 640, 48, 20, 12, 7)

MAX_POSITIONS = 2_000_000
"""Largest product of the dynamic sizes to try: several long axes at once would fill the memory."""

Sizes = Mapping[str, int]


@record
class Inputs:
    """What is known of the inputs before the model ran: specs, domains, hints on sizes."""

    specs: tuple[TensorSpec, ...]
    domains: tuple[Domain, ...]
    seed: int = 0
    sample: Optional[Tensors] = None
    axes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Sizes that the user or the sample gives for an axis."""
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Lowest and highest size of an axis, where the source states them."""

    def example(self, sizes: Sizes, turn: int = 0, scale: float = 1.0) -> Tensors:
        """An array for each input at `sizes`, the same for the same `turn` and seed.

        Floats are normal times `scale` or within their domain; at scale 1 the sample's rows are used.
        """
        import numpy as np

        generator = np.random.default_rng(self.seed + turn)
        arrays = {}
        for spec, domain in zip(self.specs, self.domains):
            shape = shape_at(spec, sizes)
            seen = None if self.sample is None or scale != 1.0 else self.sample.get(spec.name)
            if seen is not None and seen.ndim == len(shape) and seen.shape[1:] == shape[1:]:
                arrays[spec.name] = np.resize(seen, shape).astype(_storage(spec.dtype))
            else:
                arrays[spec.name] = _drawn(spec.dtype, domain.columns[0], shape, (generator, scale))
        return arrays


@record
class Trial:
    """Two bindings of the dynamic axes at which the model ran, and what it answered there.

    Without a dynamic axis, one; `failure` is the model's last complaint.
    """

    sizes: tuple[Sizes, ...]
    answers: tuple[Mapping[str, Any], ...]
    failure: str = ""

    def axes(self, specs: tuple[TensorSpec, ...]) -> dict[str, tuple[int, ...]]:
        """The sizes that worked, for each dynamic axis but the batch."""
        names = {name for sizes in self.sizes for name in sizes if name != batch_name(specs)}
        return {name: tuple(sizes[name] for sizes in self.sizes) for name in sorted(names)}


def tried(run: Callable[[Tensors], Mapping[str, Any]], inputs: Inputs) -> Trial:
    """Run at more and more sizes, until two bindings worked in which every axis differs."""
    sizes: list[Sizes] = []
    answers: list[Mapping[str, Any]] = []
    failure = ""
    for binding in _bindings(inputs):
        if sizes and any(sizes[0][name] == size for name, size in binding.items()):
            continue
        if prod(binding.values()) > MAX_POSITIONS:
            continue
        try:
            answers.append(run(inputs.example(binding)))
        except UnsupportedModelError:
            raise
        except Exception as error:  # noqa: BLE001 - the author's code raises what it likes at a wrong size
            failure = " ".join(f"{type(error).__name__}: {error}".split())[-400:]
            continue
        sizes.append(binding)
        if len(sizes) == 2:
            break
    return Trial(tuple(sizes), tuple(answers), failure)


def batch_name(specs: tuple[TensorSpec, ...]) -> Optional[str]:
    """The axis that counts rows: the one named so, else the named leading axis of the first input."""
    named = [dim for spec in specs for dim in spec.shape if dim in BATCH_NAMES]
    leading = [spec.shape[0] for spec in specs[:1] if spec.shape and isinstance(spec.shape[0], str)]
    return str((named + leading)[0]) if named or leading else None


def symbols(specs: tuple[TensorSpec, ...]) -> tuple[str, ...]:
    """The named axes in order; the batch, if any, first."""
    names = dict.fromkeys(dim for spec in specs for dim in spec.shape if isinstance(dim, str))
    return tuple(sorted(names, key=lambda name: name != batch_name(specs)))


def shape_at(spec: TensorSpec, sizes: Sizes) -> tuple[int, ...]:
    """The shape of an input where its named axes are bound to `sizes`."""
    return tuple(sizes[dim] if isinstance(dim, str) else dim for dim in spec.shape)


def sampled_axes(specs: tuple[TensorSpec, ...], sample: Optional[Tensors]) -> dict[str, tuple[int, ...]]:
    """A sample shows one size of an axis that works; others are tried after it."""
    seen: dict[str, tuple[int, ...]] = {}
    for spec in specs:
        array = (sample or {}).get(spec.name)
        if array is not None and array.ndim == len(spec.shape):
            named = [(dim, n) for dim, n in zip(spec.shape, array.shape) if isinstance(dim, str)]
            seen.update({dim: (n, *LADDER) for dim, n in named if dim != batch_name(specs)})
    return seen


def _bindings(inputs: Inputs) -> Iterator[Sizes]:
    names = symbols(inputs.specs)
    if not names:
        yield {}
        return
    images = {dim for spec in inputs.specs if len(spec.shape) == 4 for dim in spec.shape[1:]}
    for turn in range(len(LADDER)):
        yield {
            name: _size(name, turn + place, inputs, IMAGE_LADDER if name in images else LADDER)
            for place, name in enumerate(names)
        }


def _size(name: str, turn: int, inputs: Inputs, ladder: tuple[int, ...]) -> int:
    rows = (2, 3, 4, 6) if name == batch_name(inputs.specs) else ladder
    low, high = inputs.limits.get(name, (1, 2**31))
    choices = inputs.axes.get(name) or rows
    allowed = [size for size in choices if low <= size <= high] or [low, min(low + 1, high)]
    return allowed[turn % len(allowed)]


def _drawn(dtype: str, column: ColumnDomain, shape: tuple[int, ...], draw: tuple[Any, float]) -> np.ndarray:
    import numpy as np

    generator, scale = draw
    if column.categories:
        drawn = generator.choice(np.asarray(column.categories), shape)
    elif not dtype.startswith(("float", "bfloat")):
        low = 0 if column.low is None else int(column.low)
        high = low + 1 if column.high is None else int(column.high)
        drawn = generator.integers(low, high, shape, endpoint=True)
    elif column.low is not None and column.high is not None:
        drawn = generator.uniform(column.low, column.high, shape)
    else:
        drawn = generator.standard_normal(shape) * scale
    array: np.ndarray = np.asarray(drawn).astype(_storage(dtype))
    return array


def _storage(dtype: str) -> str:
    """numpy has no bfloat16: float32 stands for it."""
    return "float32" if dtype == "bfloat16" else dtype


def output_shape(name: str, lengths: list[tuple[int, ...]], sizes: tuple[Sizes, ...]) -> tuple[Dim, ...]:
    """The shape of an output from its shapes at `sizes`: an axis that follows an input's bears its name."""
    first, last = lengths[0], lengths[-1]
    if len(first) != len(last):
        raise UnsupportedModelError(
            f"output {name!r} has {len(first)} axes at {dict(sizes[0])} and {len(last)} at {dict(sizes[-1])}"
        )
    return tuple(_output_dim(name, axis, pair, sizes) for axis, pair in enumerate(zip(first, last)))


def _output_dim(name: str, axis: int, lengths: tuple[int, int], sizes: tuple[Sizes, ...]) -> Dim:
    if lengths[0] == lengths[1]:
        return int(lengths[0])
    for symbol in sizes[0]:
        if (sizes[0][symbol], sizes[-1][symbol]) == lengths:
            return symbol
    return BATCH if axis == 0 and BATCH not in sizes[0] else f"{name}_dim{axis}"
