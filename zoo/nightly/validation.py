"""`validate`: prove entries anew, one after another, and never stop at the first failure."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from zoo.errors import DigestMismatchError, FetchError, MissingPackageError, ZooError
from zoo.pipeline import pull
from zoo.records import RegistryEntry, VerificationReport, record
from zoo.registry import load
from zoo.selection import entry_for
from zoo.settings import Settings, settings_from

VERIFIED, FAILED, UNREACHABLE, UNAVAILABLE = "verified", "failed", "unreachable", "unavailable"


@record
class EntryResult:
    """What became of one entry.

    `status` is ``"verified"``; ``"failed"`` (a digest, a conversion or the numbers are wrong);
    ``"unreachable"`` (no source answered); or ``"unavailable"`` (a package is not installed here).
    """

    ref: str
    status: str
    seconds: float
    message: Optional[str] = None
    error: Optional[str] = None
    exit_code: int = 0
    report: Optional[VerificationReport] = None


@record
class Validation:
    """The results of one run; `exit_code` is the worst failure's, 0 when nothing reachable failed."""

    results: tuple[EntryResult, ...]
    seconds: float

    @property
    def counts(self) -> dict[str, int]:
        counted = Counter(result.status for result in self.results)
        return {status: counted[status] for status in (VERIFIED, FAILED, UNREACHABLE, UNAVAILABLE)}

    def exit_code(self, strict: bool = False) -> int:
        """0, or the code of the first failure; `strict` counts what could not be reached as failed."""
        bad = {FAILED, UNREACHABLE, UNAVAILABLE} if strict else {FAILED}
        return next((result.exit_code for result in self.results if result.status in bad), 0)


def validate(
    refs: Sequence[str] = (),
    *,
    all: bool = False,
    registry: str | Path | None = None,
    cache: str | Path | None = None,
    offline: bool | None = None,
    allow_private: bool = False,
    timeout: float | None = None,
    memory: float | None = None,
    progress: bool = False,
    on_result: Callable[[EntryResult], None] | None = None,
) -> Validation:
    """Prove `refs`, or every entry with ``all=True``, anew.

    An entry that no source answers for is ``unreachable``, not failed. Raises `UnknownModelError` for a
    name that the registry does not have, before anything is done.
    """
    settings = replace(
        settings_from(
            registry=registry,
            cache=cache,
            offline=offline,
            allow_private=allow_private,
            timeout=timeout,
            memory=memory,
            progress=progress,
        ),
        refresh=True,
    )
    start = time.perf_counter()
    results = []
    for entry in _selected(refs, all, settings):
        result = _validated(entry, settings)
        if on_result is not None:
            on_result(result)
        results.append(result)
    return Validation(tuple(results), round(time.perf_counter() - start, 3))


def _selected(refs: Iterable[str], everything: bool, settings: Settings) -> list[RegistryEntry]:
    if everything:
        return [*load(settings.registry).entries()]
    return [entry_for(ref, settings) for ref in refs]


def _validated(entry: RegistryEntry, settings: Settings) -> EntryResult:
    start = time.perf_counter()
    outcome: dict[str, Any]
    try:
        outcome = {"status": VERIFIED, "report": pull(entry, settings).report}
    except ZooError as error:
        outcome = {
            "status": _status(error),
            "message": error.message,
            "error": type(error).__name__,
            "exit_code": error.exit_code,
            "report": getattr(error, "report", None),
        }
    return EntryResult(str(entry.ref), seconds=round(time.perf_counter() - start, 3), **outcome)


def _status(error: ZooError) -> str:
    if isinstance(error, FetchError) and not isinstance(error, DigestMismatchError):
        return UNREACHABLE
    return UNAVAILABLE if isinstance(error, MissingPackageError) else FAILED
