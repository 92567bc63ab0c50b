"""What every step of a pipeline gives, to find the first that a graph does not have."""

from __future__ import annotations

from typing import Any


def steps(model: Any, rows: Any) -> list[tuple[str, str, Any, str]]:
    """Name, class, output (dense) and place of each transforming step of a pipeline, in order."""
    import numpy as np

    found = []
    for name, step in getattr(model, "steps", [])[:-1]:
        if step is None or step == "passthrough":
            continue
        rows = step.transform(rows)
        dense = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
        found.append((name, type(step).__name__, dense, f"step {name!r} of the pipeline"))
    return found
