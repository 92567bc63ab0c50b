"""A Java virtual machine inside this process, by JPype: no program is started, so the jail stays as it is."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Iterable

from zoo.errors import MissingJavaError

HEAP = "2g"
"""Of the garbage-collected heap; a machine of that size fits the worker's default limit many times."""
_SETTINGS = (
    "-XX:-UsePerfData",  # would write a file outside of the job's folder
    "-XX:+DisableAttachMechanism",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a short life: the second compiler costs more than it gives
    "-Xrs",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
)


def machine(classpath: Iterable[Path], settings: Iterable[str] = ()) -> Any:
    """The module ``jpype`` with a running machine, which has `classpath` from its first caller.

    The Java is that of ``JAVA_HOME``, which the parent of the worker names. Raises `MissingJavaError`.
    """
    jpype = import_module("jpype")
    if jpype.isJVMStarted():
        return jpype
    home = os.environ.get("JAVA_HOME")
    if not home:
        raise MissingJavaError("JAVA_HOME is not set", hint="Set it to the folder of a Java.")
    folder = os.environ.get("TMPDIR", "/tmp")
    own = (f"-Xmx{HEAP}", f"-Djava.io.tmpdir={folder}", f"-Duser.home={folder}")
    library = Path(home) / "lib" / "server" / "libjvm.so"
    jpype.startJVM(
        str(library),
        *_SETTINGS,
        *own,
        *settings,
        classpath=[str(path) for path in classpath],
        convertStrings=False,
    )
    return jpype


def message(error: Exception) -> str:
    """What a Java exception says, on one line."""
    return " ".join(str(error).split())[:300]
