"""A process that has imported what jobs need, and forks a jailed child for each.

``python -m zoo.jail.forkserver SOCKET MODULE…`` in a clean environment. Nothing that is not trusted ever
runs in it: a child locks itself up with the lines of `zoo.jail.launch` before it looks at its job, as a
worker does that was started anew. It ends when its parent does.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Dict, List, Tuple

from zoo.jail.launch import FAILED, Jail

MESSAGE = 1 << 20
"""Bytes; a request is smaller."""


def main(descriptor: int, modules: List[str]) -> None:
    """Import `modules`, then serve one child after the other."""
    channel = socket.socket(fileno=descriptor)
    gc.disable()  # a tenth of the time of large imports; what they leave stays with all children
    for name in modules:
        _import(name)
    gc.freeze()
    gc.enable()
    while True:
        data, descriptors, _, _ = socket.recv_fds(channel, MESSAGE, 2)
        if not data:
            return
        pid = os.fork()
        if pid == 0:
            channel.close()
            _become(json.loads(data), descriptors)
        for place in descriptors:
            os.close(place)
        channel.send(json.dumps(pid).encode())
        if not channel.recv(1):  # until then the child's number is nobody else's
            return
        channel.send(json.dumps(_ended(pid)).encode())


def _import(name: str) -> None:
    """Import a module, and what its ``preload()`` imports: all that its work will need."""
    with suppress(ImportError):  # the job that needs it will say so
        getattr(import_module(name), "preload", _nothing)()


def _nothing() -> None:
    """A module without ``preload``."""


def _ended(pid: int) -> Tuple[int, int]:
    """Exit code, or minus the signal, and the largest resident size in bytes."""
    _, status, usage = os.wait4(pid, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024


def _become(asked: Dict[str, Any], descriptors: List[int]) -> None:
    """Be the worker: its session, environment and folder, then the jail, then the job. Never returns."""
    code = FAILED
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, place in enumerate((nothing, *descriptors)):
            os.dup2(place, number)
        os.closerange(3, 4096)
        os.environ.clear()
        os.environ.update(asked["environment"])
        tempfile.tempdir = None
        os.chdir(asked["folder"])
        _lock_up(asked["lines"])
        code = _work(asked["module"], asked["folder"])
    except OSError as error:
        sys.stderr.write(f"zoo: the jail cannot be set up: {error}\n")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _lock_up(lines: List[str]) -> None:
    jail = Jail()
    for line in lines:
        word, _, rest = line.partition(" ")
        getattr(jail, "do_" + word)(rest)


def _work(module: str, folder: str) -> int:
    """What ``python -m module folder`` does."""
    try:
        return int(import_module(module).main(Path(folder)))
    except Exception:  # noqa: BLE001 - as in a new interpreter, which prints it and ends with 1
        sys.excepthook(*sys.exc_info())
        return 1


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
