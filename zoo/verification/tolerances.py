"""What error is allowed, and why: the policy in numbers. Its reasons are in ``docs/verification.md``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Optional

from zoo.records import Tolerance, record

if TYPE_CHECKING:
    import numpy as np

    from zoo.records import SourceDescription


@record
class Precision:
    """A floating-point format: its unit in the last place at 1, and what an honest conversion may lose.

    `rtol` is relative to each element, `floor` to the largest element of the output: sums of terms
    that cancel leave small elements with errors of the size of the terms.
    """

    name: str
    epsilon: float
    largest: float
    rtol: float
    floor: float
    ulps: float = 16.0
    """With measured noise: what is always allowed, in units in the last place of the largest element."""


PRECISIONS = {
    "float64": Precision("float64", 2.0**-52, 1.7976931348623157e308, 1e-9, 1e-11, 4096.0),
    "float32": Precision("float32", 2.0**-23, 3.4028234663852886e38, 1e-4, 1e-5),
    "bfloat16": Precision("bfloat16", 2.0**-7, 3.3895313892515355e38, 5e-2, 1e-2),
    "float16": Precision("float16", 2.0**-10, 65504.0, 1e-2, 2e-3),
}
"""From the finest to the coarsest. The default bounds are for graphs whose noise was not measured."""

NOISE_FACTOR = {"float64": 32.0, "perturbation": 64.0}
"""Errors up to this many times the source's own rounding noise are rounding, by how it was measured."""
PERTURBATION = "perturbation"
PROBABILITY_FLOOR = 2.0
"""Units in the last place at 1 that a probability may always be off by. ONNX Runtime's Sigmoid in float32
is up to 1.8e-7 (1.5 units) off near zero, where that is more than the answer."""
LOGISTIC = "logistic"
"""The basis of a bound that this decides."""
QUIET = 1e-3
"""A case whose output is smaller than this share of the typical output is bounded as if it were that."""
MAX_EXCUSED = 0.05
"""Largest share of labels that flip, or elements that jump, inside the noise, outside families that sit on
the boundary on purpose."""
TYPICAL = frozenset({"typical", "sample", "data_set"})
"""Families from whose cases the usual size and noise of an output are taken."""
ON_THE_BOUNDARY = frozenset({"boundary", "boundary_all", "decision"})
"""Families whose rows are placed where answers jump."""
ON_THE_LINE = 0.1
"""Where more labels than this change in the source itself by one rounding, all rows of a family that sits on
the boundary are taken to lie on it."""
UNSTEADY = ON_THE_BOUNDARY | {"large", "zeros", "small"}
"""And those in whose rows much may tie, or the source's answer may be all rounding."""


@record
class Coarseness:
    """What a class of coarse arithmetic may do: the error of one element, and the root mean square of all,
    in steps. A step is 1 for outputs of at most 16 bits, else a 128th of the output's largest element.
    `stray` is the share of elements that may be off by more in the family `large`."""

    name: str
    most: float
    rms: float
    why: str
    stray: float = 0.0


CLASSES = {
    "quantised": Coarseness(
        "quantised", 8.0, 2.0, "int8 arithmetic rounds at every layer, and runtimes round differently"
    ),
    "dynamic-range": Coarseness(
        "dynamic-range", 8.0, 2.0, "the source quantises activations at run time, the graph does not", 0.01
    ),
}
"""Tolerance classes that a converter may name in its notes (``tolerance class quantised: …``)."""
_CLASS = re.compile(r"tolerance class ([a-z-]+)")
_SHORT = frozenset({"int8", "uint8", "int16", "uint16"})


def class_of(description: SourceDescription) -> Optional[str]:
    """The tolerance class that the converter's notes name, None where they name none that is known.

    Of two the quantised one: what holds for all of a model holds for the part of it that is coarser.
    """
    named = {name for note in description.notes for name in _CLASS.findall(note)}
    return next((name for name in CLASSES if name in named), None)


@record
class Policy:
    """How outputs are judged. `tolerance`, where given, replaces the defaults by dtype."""

    tolerance: Optional[Tolerance] = None
    tolerance_class: Optional[str] = None
    precision: Optional[str] = None
    """A coarser format than the outputs show, such as ``"float16"`` inside a graph with float32 outputs."""


DEFAULT = Policy()


@record
class Noise:
    """The source's own rounding noise: how it was measured, its usual size relative to the output's largest
    element over all cases (`level`), and of each element of this case, if measured (`values`, absolute).

    Negative is a jump by as much: the answer turns here, and is no noisier for that.

    It was measured by roundings of the size `unit`; noise is proportional to that (to first order), so a
    graph that computes in another format has more or less of it.
    """

    method: str
    level: float
    values: Optional[Any] = None
    unit: float = 2.0**-23


@record
class Limit:
    """The bound ``atol + rtol·|expected| + factor·noise`` for one output of one case.

    `basis` is ``"tolerance"`` (given), ``"noise"`` (measured), ``"dtype"`` (the default), ``"logistic"``
    (kernels of logistic functions lose more than either) or the name of a tolerance class. `usual` is the
    default bound: what is beyond it and still inside the noise is counted apart. `rms` bounds the root mean
    square of all errors, `stray` is the share that may be beyond the bound.
    """

    precision: Precision
    rtol: float
    atol: float
    basis: str
    factor: float = 0.0
    usual: Optional[Tolerance] = None
    rms: Optional[float] = None
    stray: float = 0.0

    def of(self, expected: np.ndarray, noise: Optional[np.ndarray]) -> np.ndarray:
        """The bound of each element, float64."""
        import numpy as np

        bound: np.ndarray = self.atol + self.rtol * np.abs(expected)
        if noise is None or not self.factor:
            return bound
        # A rounding may make the answer jump, and makes no jump larger.
        return np.asarray(bound + np.where(noise < 0, min(1.0, self.factor) * -noise, self.factor * noise))


def precision_of(*dtypes: str, policy: Policy = DEFAULT) -> Precision:
    """The coarsest of the formats; text and integers count as float64."""
    order = list(PRECISIONS)
    names = [name for name in (*dtypes, policy.precision) if name in PRECISIONS]
    return PRECISIONS[max(names, key=order.index, default="float64")]


def limit_for(precision: Precision, scale: float, policy: Policy, noise: Optional[Noise]) -> Limit:
    """The bound for an output whose largest finite element is `scale`.

    With a given tolerance exactly that; with measured noise in units of it; else by dtype.
    """
    if policy.tolerance is not None:
        return Limit(precision, policy.tolerance.rtol, policy.tolerance.atol, "tolerance")
    usual = Tolerance(precision.rtol, precision.floor * scale)
    if noise is None:
        return Limit(precision, usual.rtol, usual.atol, "dtype")
    factor = NOISE_FACTOR[noise.method] * precision.epsilon / noise.unit
    ulp = precision.ulps * precision.epsilon
    atol = scale * (ulp + factor * noise.level)
    # A noise above the default bound everywhere is the model's condition, not single elements that jump.
    return Limit(precision, ulp, atol, "noise", factor, usual if atol < usual.atol else None)


def class_limit(name: str, precision: Precision, dtype: str, scale: float, family: str = "") -> Limit:
    """The bound of a tolerance class for an output of `dtype` whose largest element is `scale`."""
    coarse = CLASSES[name]
    step = 1.0 if dtype in _SHORT else scale / 128
    stray = coarse.stray if family == "large" else 0.0
    return Limit(precision, 0.0, coarse.most * step, name, rms=coarse.rms * step, stray=stray)


def noise_level(values: np.ndarray, scale: float) -> float:
    """The usual noise relative to `scale`: the root mean square without the largest hundredth.

    Few elements jump in many models (a row changes places in a sorted list); they are no measure, and those
    that are known to jump, which are negative, do not count.
    """
    import numpy as np

    finite = np.sort(values[np.isfinite(values) & (values >= 0)].astype(np.float64), axis=None)
    kept = finite[: finite.size - int(0.01 * finite.size)]
    return float(np.sqrt(np.mean(kept**2)) / scale) if finite.size and scale > 0 else 0.0
