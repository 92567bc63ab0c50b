"""Set limits on this process, then become the command: ``python -I -S launch.py SPEC COMMAND…``.

A file that is run, not imported: limits set here, in a process without threads, need no code
between fork and exec in the parent. SPEC is a JSON object ``{"limits": {"RLIMIT_CORE": 0, …}}``.
"""

from __future__ import annotations

import json
import os
import resource
import sys


def main() -> None:
    """Apply the specification and execute the command in this process's place."""
    spec = json.loads(sys.argv[1])
    for name, value in spec["limits"].items():
        limit(getattr(resource, name), value)
    command = sys.argv[2:]
    os.execvpe(command[0], command, os.environ)


def limit(which: int, value: int) -> None:
    """Lower a limit, soft and hard; a lower one that is already there stays."""
    hard = resource.getrlimit(which)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(which, (value, value))


if __name__ == "__main__":
    main()
