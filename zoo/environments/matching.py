"""Which environments are right for a file, by what it says of the versions that wrote it."""

from __future__ import annotations

from zoo.records import Detection


def locks_for(framework: str, detection: Detection) -> tuple[str, ...]:
    """Names of the lock files whose environments load this file right, the best first."""
    return (framework,)
