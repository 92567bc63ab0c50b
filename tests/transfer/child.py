"""A process that fetches, for tests that kill, stop, starve or isolate it.

``python -m tests.transfer.child JSON`` fetches once. With ``--zygote`` it reads one JSON a line and
forks a child for each, whose pid it prints: a process to kill in milliseconds instead of a start of
the interpreter.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import requests  # noqa: F401 — imported before the fork, so that a child starts at once

from zoo.errors import ZooError
from zoo.fetchers import FetchOptions, fetch
from zoo.records import FileSpec
from zoo.store import Store


def run(order: dict[str, Any]) -> dict[str, Any]:
    """Fetch what `order` says; the outcome as JSON."""
    spec = FileSpec("model.onnx", order["sha256"], order["size"], tuple(order["sources"]))
    options = FetchOptions(**{"allow_private": True, "connections": 1, **order.get("options", {})})
    store = Store(Path(order["store"]), tuple(map(Path, order.get("layers", ()))))
    try:
        blob = fetch(spec, store, options)
    except ZooError as error:
        return {"error": type(error).__name__, "message": error.message, "hint": error.hint}
    return {"path": str(blob.path), "digest": blob.digest}


def zygote() -> None:
    """Fork a fetching child for every line of standard input."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            outcome = run(json.loads(line))
            os._exit(0 if "digest" in outcome else 1)
        print(pid, flush=True)
        _, status = os.waitpid(pid, 0)
        print(status, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--zygote":
        zygote()
    else:
        print(json.dumps(run(json.loads(sys.argv[1]))))
