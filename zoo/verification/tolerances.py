"""What error is allowed, and why: the policy in numbers. Its reasons are in ``docs/verification.md``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional

from zoo.records import Tolerance, record

if TYPE_CHECKING:
    import numpy as np


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


PRECISIONS = {
    "float64": Precision("float64", 2.0**-52, 1.7976931348623157e308, 1e-9, 1e-11),
    "float32": Precision("float32", 2.0**-23, 3.4028234663852886e38, 1e-4, 1e-5),
    "bfloat16": Precision("bfloat16", 2.0**-7, 3.3895313892515355e38, 5e-2, 1e-2),
    "float16": Precision("float16", 2.0**-10, 65504.0, 1e-2, 2e-3),
}
"""From the finest to the coarsest. The default bounds are for graphs whose noise was not measured."""

NOISE_FACTOR = 32.0
"""Errors up to this many times the source's own rounding noise are rounding."""
NOISE_FLOOR = 16.0
"""And up to this many units in the last place of the output's largest element."""
QUIET = 1e-3
"""A case whose output is smaller than this share of the typical output is bounded as if it were that."""
MAX_EXCUSED = 0.05
"""Largest share of label flips inside the noise, outside families that sit on the boundary on purpose."""
ON_THE_BOUNDARY = frozenset({"boundary", "boundary_all", "decision"})
"""Families whose rows are placed where answers jump."""


@record
class Policy:
    """How outputs are judged. `tolerance`, where given, replaces the defaults by dtype."""

    tolerance: Optional[Tolerance] = None
    precision: Optional[str] = None
    """A coarser format than the outputs show, such as ``"float16"`` inside a graph with float32 outputs."""


DEFAULT = Policy()


@record
class Limit:
    """The bound ``atol + rtol·|expected|``, or one in units of noise, for one output of one case."""

    precision: Precision
    rtol: float
    atol: float
    basis: str
    """``"tolerance"`` (given), ``"noise"`` (measured) or ``"dtype"`` (the default)."""
    factor: float = 0.0

    def of(self, expected: np.ndarray, noise: Optional[np.ndarray]) -> np.ndarray:
        """The bound of each element, float64."""
        import numpy as np

        bound: np.ndarray = self.atol + self.rtol * np.abs(expected)
        return bound if noise is None or not self.factor else bound + self.factor * noise


def precision_of(*dtypes: str, policy: Policy = DEFAULT) -> Precision:
    """The coarsest of the formats; text and integers count as float64."""
    order = list(PRECISIONS)
    names = [name for name in (*dtypes, policy.precision) if name in PRECISIONS]
    return PRECISIONS[max(names, key=order.index, default="float64")]


def limit_for(precision: Precision, scale: float, policy: Policy, noise: Optional[np.ndarray]) -> Limit:
    """The bound for an output whose largest finite element is `scale`.

    With a given tolerance exactly that; with measured `noise` (absolute, of the output's shape) in
    units of it; else by dtype.
    """
    if policy.tolerance is not None:
        return Limit(precision, policy.tolerance.rtol, policy.tolerance.atol, "tolerance")
    if noise is None:
        return Limit(precision, precision.rtol, precision.floor * scale, "dtype")
    floor = NOISE_FLOOR * precision.epsilon * scale
    typical = NOISE_FACTOR * _root_mean_square(noise)
    return Limit(precision, NOISE_FLOOR * precision.epsilon, floor + typical, "noise", NOISE_FACTOR)


def _root_mean_square(noise: np.ndarray) -> float:
    import numpy as np

    finite = noise[np.isfinite(noise)].astype(np.float64)
    return float(np.sqrt(np.mean(finite**2))) if finite.size else 0.0
