"""Pickles: every global must be on the allow-list, and every byte understood."""

from __future__ import annotations

from typing import Any

from zoo.detection.audits.globals import is_allowed
from zoo.detection.pickles import Global, Made, Scan, scan
from zoo.detection.source import UNPACK_ERRORS, Tape

MAX_PICKLES = 8


def audit_pickle(tape: Tape, persistent: bool = False, joblib: bool = False) -> list[str]:
    """Reasons against one pickle stream that fills the whole tape.

    `persistent` says that the reader resolves persistent ids itself, as torch does; `joblib` that
    it is joblib, which reads arrays between the opcodes.
    """
    found = scan(tape, joblib=joblib)
    reasons = audit_scan(found, persistent)
    if found.broken is None and not _ended(tape):
        reasons.append(f"bytes after the end of the pickle (at {found.end})")
        reasons += _rest(tape, persistent)
    return reasons


def audit_scan(found: Scan, persistent: bool = False) -> list[str]:
    """Reasons against one pickle that was scanned."""
    reasons = [f"names {target}" for target in found.globals if not is_allowed(target)]
    reasons += found.oddities
    reasons += [f"calls {name}" for name in _bad_calls(found)]
    if found.persistent and not persistent:
        reasons.append("persistent ids, which only its own reader can resolve")
    if found.broken is not None:
        reasons.append(f"does not parse: {found.broken}")
    if any(target.name in ("NDArrayWrapper", "ZNDArrayWrapper") for target in found.globals):
        reasons.append("arrays in files beside it (joblib < 0.10)")
    return reasons


def _rest(tape: Tape, persistent: bool) -> list[str]:
    # A second pickle is not read by `load`, but by a reader that calls it again.
    reasons: list[str] = []
    for _ in range(MAX_PICKLES):
        found = scan(tape)
        reasons += [reason for reason in audit_scan(found, persistent) if reason.startswith("names ")]
        if found.broken is not None or _ended(tape):
            break
    return reasons


def _ended(tape: Tape) -> bool:
    try:
        return tape.at_end()
    except UNPACK_ERRORS:
        return False


def _bad_calls(found: Scan) -> list[str]:
    bad: list[str] = []
    for target, args in found.guarded:
        if target.name == "_ufunc_reconstruct" and not _names_ufunc(args):
            bad.append(f"{target}{_shown(args)}, which imports what it is told to")
        if target.module in _BARE and _given(args):
            bad.append(f"{target}{_shown(args)} with arguments, which may name a file")
    return bad


_BARE = frozenset({"xgboost.core", "lightgbm.basic"})


def _names_ufunc(args: Any) -> bool:
    if not (isinstance(args, tuple) and len(args) == 2 and all(isinstance(part, str) for part in args)):
        return False
    module = args[0].replace("numpy._core", "numpy.core")
    return module in ("numpy", "numpy.core._multiarray_umath") and is_allowed(Global("numpy", args[1]))


def _given(args: Any) -> bool:
    return not isinstance(args, tuple) or any(
        not isinstance(part, (Global, Made, type(None))) for part in args
    )


def _shown(args: Any) -> str:
    return f"{args!r:.120}" if isinstance(args, tuple) else "(…)"
