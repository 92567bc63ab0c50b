"""The judgement: outputs of the source against outputs of the graph, case by case.

Needs numpy and nothing else, so it may run in the process of the command line, on arrays that jailed
workers wrote. How much error is allowed is decided in `zoo.verification.tolerances`.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from zoo.records import CaseResult, FeedCase, OutputComparison, record
from zoo.verification.labels import Flips, Reasons, ScorePair, find_flips, plain, top_agreement
from zoo.verification.metrics import PIECE, ErrorStatistics
from zoo.verification.pairing import Pairing, pair_outputs, same_shape
from zoo.verification.tolerances import (
    LOGISTIC,
    MAX_EXCUSED,
    ON_THE_BOUNDARY,
    ON_THE_LINE,
    PERTURBATION,
    PRECISIONS,
    PROBABILITY_FLOOR,
    QUIET,
    TYPICAL,
    UNSTEADY,
    Limit,
    Noise,
    Policy,
    class_limit,
    limit_for,
    noise_level,
    precision_of,
)

if TYPE_CHECKING:
    import numpy as np

    from zoo.verification.pairing import Arrays

DECIDING_ROLES = ("probabilities", "scores")


@record
class Criteria:
    """What the outputs are (`roles`), how they are judged, and the source's own noise if measured.

    `noise` is by output; `scales` holds the largest magnitude of each output over all typical cases.
    """

    roles: dict[str, str] = field(default_factory=dict)
    policy: Policy = Policy()
    noise: dict[str, Noise] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)


@record
class Pair:
    """One output from both sides; `where` places it: name, case family, notes so far."""

    name: str
    family: str
    expected: Any
    actual: Any
    notes: tuple[str, ...] = ()


DEFAULT = Criteria()


def compare(case: FeedCase, expected: Arrays, actual: Arrays, criteria: Criteria = DEFAULT) -> CaseResult:
    """Compare every output of the source with the graph's; nothing is left out.

    Outputs are paired by name, else by position or shape, and the notes say which. An output that the
    graph has beyond the source's is noted only.
    """
    pairing = pair_outputs(expected, actual)
    if pairing.missing:
        given = ", ".join(actual) or "nothing"
        return CaseResult(case, error=f"the graph has no output {pairing.missing[0]!r}, only {given}")
    notes = _pairing_notes(pairing)
    outputs = []
    for name, other in pairing.names.items():
        pair = Pair(name, case.family, expected[name], actual[other], notes)
        outputs.append(_compared(pair, criteria, _reasons(pair, (expected, actual), pairing, criteria)))
    return CaseResult(case, tuple(outputs))


def _pairing_notes(pairing: Pairing) -> tuple[str, ...]:
    notes = [] if pairing.how == "name" else [f"outputs were matched by {pairing.how}"]
    return (*notes, *[f"the graph also gives {name!r}" for name in pairing.extra])


def _compared(pair: Pair, criteria: Criteria, reasons: Reasons) -> OutputComparison:
    expected, actual = pair.expected, pair.actual
    if not same_shape(expected.shape, actual.shape):
        return _failed(pair, f"shape {actual.shape}, the source gives {expected.shape}")
    if expected.shape != actual.shape:
        pair = _noted(pair, f"shape {actual.shape} for the source's {expected.shape}")
        pair = replace(pair, actual=actual.reshape(expected.shape))
    if _is_text(expected) != _is_text(actual):
        return _failed(pair, f"{_kind(actual)}, the source gives {_kind(expected)}")
    if expected.dtype != actual.dtype and not _is_text(expected):
        pair = _noted(pair, f"{actual.dtype} for the source's {expected.dtype}")
    if _is_exact(pair, criteria):
        return _compare_labels(pair, criteria, reasons)
    return _compare_numbers(pair, criteria)


def _is_exact(pair: Pair, criteria: Criteria) -> bool:
    """Labels, text, integers and booleans are equal or not; integers with a given tolerance are numbers."""
    if criteria.roles.get(pair.name) == "label" or _is_text(pair.expected):
        return True
    if pair.expected.dtype.itemsize <= 2 and criteria.policy.tolerance_class is not None:
        return bool(pair.expected.dtype.kind == "b")
    integers = pair.expected.dtype.kind in "iub"
    return bool(integers and criteria.policy.tolerance is None)


def _compare_numbers(pair: Pair, criteria: Criteria) -> OutputComparison:
    limit = limit_of(pair, criteria)
    statistics = ErrorStatistics(limit)
    noise = _noise(pair, criteria)
    statistics.add_all(pair.expected, pair.actual, None if noise is None else noise.values)
    reason = _number_reason(pair, statistics)
    return OutputComparison(
        pair.name,
        reason is None,
        str(pair.actual.dtype),
        tuple(pair.actual.shape),
        max_abs=statistics.max_abs,
        max_rel=statistics.max_rel,
        mean_abs=statistics.mean_abs,
        cosine=statistics.cosine,
        agreement=top_agreement(pair.expected, pair.actual, 1),
        reason=reason,
        details=_number_details(pair, statistics),
    )


def limit_of(pair: Pair, criteria: Criteria) -> Limit:
    """The bound for this output in this case."""
    limit = _limit_by_noise(pair, criteria)
    if criteria.roles.get(pair.name) != "probabilities" or limit.basis == "tolerance":
        return limit
    # Kernels of logistic functions round relative to 1, however small the answer is.
    floor = PROBABILITY_FLOOR * limit.precision.epsilon
    return limit if limit.atol >= floor else replace(limit, atol=floor, basis=LOGISTIC, usual=None)


def _limit_by_noise(pair: Pair, criteria: Criteria) -> Limit:
    precision = precision_of(str(pair.expected.dtype), str(pair.actual.dtype), policy=criteria.policy)
    # Where all is zero by cancellation the graph may be left with rounding of what cancelled.
    scale = max(magnitude(pair.expected), QUIET * criteria.scales.get(pair.name, 0.0))
    named = criteria.policy.tolerance_class
    if named is not None and criteria.policy.tolerance is None:
        # What is rounded inside is as coarse for rows with small answers.
        scale = max(scale, criteria.scales.get(pair.name, 0.0))
        return class_limit(named, precision, str(pair.expected.dtype), scale, pair.family)
    noise = _noise(pair, criteria)
    usual_scale = criteria.scales.get(pair.name, 0.0)
    if noise is not None and _is_silent(noise) and magnitude(pair.expected) < QUIET * usual_scale:
        return limit_for(precision, usual_scale, criteria.policy, None)
    if noise is not None and (noise.method == PERTURBATION or pair.family in TYPICAL) and scale > 0:
        # What is rounded inside is as large for rows with small answers: moving such rows by one of their own
        # units shows little of it, and typical rows among whose few answers none is large are typical rows.
        noise = replace(noise, level=noise.level * max(1.0, usual_scale / scale))
    limit = limit_for(precision, scale, criteria.policy, noise)
    if noise is None or noise.values is None:
        return limit
    # Rows placed where the answer turns have more noise than the typical, and by chance some of their
    # elements show none of it.
    own = replace(noise, level=max(noise.level, noise_level(noise.values, scale)))
    return replace(limit_for(precision, scale, criteria.policy, own), usual=limit.usual)


def _is_silent(noise: Noise) -> bool:
    """Whether the source was right to the last bit in this case. Where all cancels that is luck, and no
    measure of what is left in a graph that adds in another order: normalisation makes that a thousandfold."""
    return noise.values is not None and not noise.values.any()


def _noise(pair: Pair, criteria: Criteria) -> Noise | None:
    noise = criteria.noise.get(pair.name)
    if noise is not None and pair.expected.dtype == "float16":
        noise = replace(noise, unit=PRECISIONS["float16"].epsilon)
    if noise is None or noise.values is None or noise.values.shape == pair.expected.shape:
        return noise
    return replace(noise, values=None)


def magnitude(array: np.ndarray) -> float:
    """The largest finite magnitude."""
    import numpy as np

    largest = 0.0
    flat = array.reshape(-1)
    for start in range(0, flat.size, PIECE):
        piece = np.abs(flat[start : start + PIECE].astype(np.float64))
        largest = max(largest, float(piece.max(initial=0.0, where=np.isfinite(piece))))
    return largest


def _number_reason(pair: Pair, statistics: ErrorStatistics) -> str | None:
    if statistics.nan_mismatch or statistics.inf_mismatch:
        count = statistics.nan_mismatch + statistics.inf_mismatch
        index = _index(pair, statistics.odd or 0)
        return (
            f"{count} of {statistics.count} elements are NaN or infinite on one side only, first at"
            f" {list(index)}: {plain(pair.actual[index])} for {plain(pair.expected[index])}"
        )
    if statistics.over <= statistics.limit.stray * statistics.count:
        return _rms_reason(statistics) or _unstable_reason(pair, statistics)
    index = _index(pair, statistics.worst or 0)
    return (
        f"{statistics.over} of {statistics.count} elements are beyond the bound; the worst, at {list(index)},"
        f" is {plain(pair.actual[index]):.9g} for {plain(pair.expected[index]):.9g},"
        f" {statistics.used:.3g} times what is allowed"
    )


def _rms_reason(statistics: ErrorStatistics) -> str | None:
    allowed = statistics.limit.rms
    if allowed is None or statistics.rms is None or statistics.rms <= allowed:
        return None
    return f"the root mean square of all errors is {statistics.rms:.3g}, {allowed:.3g} is allowed"


def _unstable_reason(pair: Pair, statistics: ErrorStatistics) -> str | None:
    if pair.family in UNSTEADY or statistics.unstable <= max(1.0, MAX_EXCUSED * statistics.count):
        return None
    return (
        f"{statistics.unstable} of {statistics.count} elements differ by more than rounding where the"
        " source's own noise is large: too many to be chance"
    )


def _number_details(pair: Pair, statistics: ErrorStatistics) -> dict[str, Any]:
    limit = statistics.limit
    details: dict[str, Any] = {
        "used": statistics.used,
        "bound": {"basis": limit.basis, "rtol": limit.rtol, "atol": limit.atol, "factor": limit.factor},
        "precision": limit.precision.name,
        "p999_abs": statistics.quantile(0.999),
        "rms": statistics.rms,
        **_ulp_details(pair, statistics),
        "errors_by_decade": statistics.histogram(),
        "sqnr_db": statistics.sqnr_db,
        "over": statistics.over,
        "unstable": statistics.unstable or None,
        "top5": top_agreement(pair.expected, pair.actual, 5),
        "notes": list(pair.notes),
    }
    if statistics.finite:
        index = _index(pair, statistics.worst or 0)
        details["range"] = [statistics.low, statistics.high]
        details["worst"] = {"index": list(index), **_values(pair, index)}
    return {key: value for key, value in details.items() if value is not None}


def _ulp_details(pair: Pair, statistics: ErrorStatistics) -> dict[str, Any]:
    """Units in the last place say nothing of integers."""
    if pair.expected.dtype.kind != "f":
        return {}
    return {"ulp_max": statistics.ulp_max, "ulps": statistics.ulp_histogram()}


def _compare_labels(pair: Pair, criteria: Criteria, reasons: Reasons) -> OutputComparison:
    noise = _noise(pair, criteria)
    unstable = None if noise is None or noise.values is None else noise.values > 0
    if unstable is not None and pair.family in ON_THE_BOUNDARY and unstable.mean() > ON_THE_LINE:
        unstable = unstable | True
    flips = find_flips(pair.expected, pair.actual, replace(reasons, unstable=unstable))
    reason = _flip_reason(pair, flips)
    details: dict[str, Any] = {
        "different": flips.different,
        "near_ties": flips.excused,
        "ties": flips.tied,
        "notes": list(pair.notes),
    }
    if flips.first is not None:
        index = _index(pair, flips.first)
        details["worst"] = {"index": list(index), **_values(pair, index)}
    agreement = 1.0 if not flips.rows else 1 - flips.different / flips.rows
    return OutputComparison(
        pair.name,
        reason is None,
        _kind(pair.actual),
        tuple(pair.actual.shape),
        agreement=agreement,
        reason=reason,
        details=details,
    )


def _flip_reason(pair: Pair, flips: Flips) -> str | None:
    if flips.first is not None:
        index = _index(pair, flips.first)
        return (
            f"{flips.real} of {flips.rows} differ outside the rounding noise, first at {list(index)}:"
            f" {plain(pair.actual[index])!r} for {plain(pair.expected[index])!r}"
        )
    allowed = max(1.0, MAX_EXCUSED * flips.rows)
    if flips.excused > allowed and pair.family not in UNSTEADY:
        return f"{flips.excused} of {flips.rows} labels flip inside the rounding noise: too many to be chance"
    return None


def _reasons(pair: Pair, sides: tuple[Arrays, Arrays], pairing: Pairing, criteria: Criteria) -> Reasons:
    """What may excuse differences of this output, found among the other outputs."""
    if not _is_exact(pair, criteria):
        return Reasons()
    return Reasons(_scores(pair, sides, pairing, criteria), _ranked(pair, sides, pairing, criteria))


def _ranked(
    pair: Pair, sides: tuple[Arrays, Arrays], pairing: Pairing, criteria: Criteria
) -> ScorePair | None:
    """The only float output of the same shape as an output of indices: the values that they point to."""
    expected = pair.expected
    if pair.name in criteria.roles or expected.dtype.kind not in "iu" or not expected.size:
        return None
    found = [
        name
        for name in pairing.names
        if sides[0][name].dtype.kind == "f" and sides[0][name].shape == expected.shape
    ]
    if len(found) != 1 or pair.actual.shape != expected.shape:
        return None
    both = Pair(found[0], pair.family, sides[0][found[0]], sides[1][pairing.names[found[0]]])
    return ScorePair(both.expected, both.actual, limit_of(both, criteria))


def _scores(
    pair: Pair, sides: tuple[Arrays, Arrays], pairing: Pairing, criteria: Criteria
) -> ScorePair | None:
    """The probabilities or scores beside a label, both sides, with their own bound."""
    if criteria.roles.get(pair.name, "label") != "label":
        return None
    for role in DECIDING_ROLES:
        for name in (name for name, its_role in criteria.roles.items() if its_role == role):
            if name in pairing.names and name in sides[0]:
                both = Pair(name, pair.family, sides[0][name], sides[1][pairing.names[name]])
                threshold = 0.5 if role == "probabilities" else 0.0
                return ScorePair(both.expected, both.actual, limit_of(both, criteria), threshold)
    return None


def _failed(pair: Pair, reason: str) -> OutputComparison:
    kind, shape = _kind(pair.actual), tuple(pair.actual.shape)
    return OutputComparison(pair.name, False, kind, shape, reason=reason, details={"notes": list(pair.notes)})


def _noted(pair: Pair, note: str) -> Pair:
    return replace(pair, notes=(*pair.notes, note))


def _is_text(array: np.ndarray) -> bool:
    return array.dtype.kind in "USO"


def _kind(array: np.ndarray) -> str:
    return "string" if _is_text(array) else str(array.dtype)


def _index(pair: Pair, flat: int) -> tuple[int, ...]:
    import numpy as np

    return tuple(int(i) for i in np.unravel_index(flat, pair.expected.shape))


def _values(pair: Pair, index: tuple[int, ...]) -> dict[str, Any]:
    return {"expected": plain(pair.expected[index]), "actual": plain(pair.actual[index])}
