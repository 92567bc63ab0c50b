"""What works here, in one screen: each fact is tried or read, none is assumed."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Optional

from zoo import plugins
from zoo.errors import ZooError
from zoo.offline import offline_wanted
from zoo.records import record
from zoo.settings import AnyPath, settings_from
from zoo.version import DISTRIBUTION, __version__

if TYPE_CHECKING:
    from zoo.environments import Listed

OK, NOTE, PROBLEM = "ok", "note", "problem"

LOW_SPACE = 5 << 30
"""Bytes of free space below which the store gets a note: one large model and its conversion."""

_CORE = ("numpy", "onnx", "onnxruntime", "protobuf", "requests")
_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY")


@record
class Fact:
    """One line of a diagnosis. `status` is ``"ok"``, ``"note"`` or ``"problem"``; a problem has a hint."""

    section: str
    name: str
    value: str
    status: str = OK
    hint: Optional[str] = None


@record
class Diagnosis:
    """All facts, in the order in which they are shown."""

    facts: tuple[Fact, ...]

    @property
    def healthy(self) -> bool:
        return all(fact.status != PROBLEM for fact in self.facts)


def doctor(*, cache: AnyPath | None = None, offline: bool | None = None) -> Diagnosis:
    """Look at versions and conflicts, converters, the sandbox, ONNX Runtime, the network and the store.

    The package index is asked for one page, unless `offline`. Nothing is changed and no model loaded.
    """
    sections = (
        _versions(),
        _converters(cache),
        _javas(),
        _environments(cache),
        _sandbox(),
        _runtime(),
        _network(offline),
        _store(cache),
    )
    return Diagnosis(tuple(fact for facts in sections for fact in facts))


def _versions() -> Iterator[Fact]:
    yield Fact("versions", "zoo", __version__)
    yield Fact(
        "versions", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    yield from (Fact("versions", name, metadata.version(name)) for name in _CORE)
    yield from (
        Fact("versions", name, conflict, PROBLEM, f"`pip install {wanted!r}` in {sys.prefix} mends it.")
        for name, conflict, wanted in _conflicts()
    )


def _conflicts() -> Iterator[tuple[str, str, str]]:
    """What this distribution and all that it needs ask for and have not got: (who, what, requirement)."""
    from packaging.requirements import Requirement

    queue, seen = [DISTRIBUTION], set()
    while queue:
        name = queue.pop()
        if name in seen or _version(name) is None:
            continue
        seen.add(name)
        for text in metadata.requires(name) or ():
            wanted = Requirement(text)
            if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
                continue
            queue.append(wanted.name)
            found = _version(wanted.name)
            asked = f"{wanted.name}{wanted.specifier}"
            if found is None:
                yield name, f"needs {asked}, which is not installed", asked
            elif not wanted.specifier.contains(found, prereleases=True):
                yield name, f"needs {asked}, installed is {found}", asked


def _converters(cache: AnyPath | None) -> Iterator[Fact]:
    """Each converter with what it runs in: packages of this Python, or an environment of its own."""
    from zoo import environments

    listed = {one.name: one for one in environments.list(cache=cache) if one.state != "outdated"}
    for framework in plugins.converters():
        try:
            wanted = plugins.converter(framework).requirements
        except Exception as error:  # noqa: BLE001 - a third party's module may raise anything at its import
            broken = f"cannot be imported: {type(error).__name__}: {error}"
            yield Fact("converters", framework, broken, PROBLEM, "Reinstall or remove its package.")
            continue
        found = [_installed(text) for text in wanted]
        if all(found):
            yield Fact("converters", framework, ", ".join(map(str, found)))
        elif framework in listed:
            yield _environment("converters", listed[framework])
        else:
            missing = [text for text, got in zip(wanted, found, strict=True) if not got]
            hint = "Install them in this Python; the converter brings no lock file."
            yield Fact("converters", framework, f"needs {', '.join(missing)}", NOTE, hint)


def _javas() -> Iterator[Fact]:
    """The Java of each converter whose source is answered by one."""
    from zoo.environments.javas import find_java
    from zoo.errors import MissingJavaError

    for framework in plugins.CONVERTERS:
        needs = plugins.needs(plugins.converter_target(framework))
        if needs.java is None:
            continue
        try:
            java = find_java(needs.java, needs.java_newest)
            yield Fact("java", framework, f"{java.version} in {java.home}")
        except MissingJavaError as error:
            yield Fact("java", framework, error.message, NOTE, error.hint)


def _environments(cache: AnyPath | None) -> Iterator[Fact]:
    """The version-matched ones, which no framework is named after, and what older versions left."""
    from zoo import environments

    for one in environments.list(cache=cache):
        matched = one.name not in plugins.converters() and one.state != "current"
        if matched or one.state == "outdated":
            yield _environment("older releases", one)


def _environment(section: str, one: Listed) -> Fact:
    """An environment: built, or what would stand in the way of building it."""
    from zoo.environments.pythons import find_python
    from zoo.errors import MissingPythonError

    if one.state in ("current", "built"):
        return Fact(section, one.name, f"environment {one.state}, Python {one.python}")
    if one.state == "outdated":
        said = f"environment of Python {one.python} that no lock file asks for any more"
        return Fact(section, one.name, said, NOTE, "`zoo env remove --unused` removes it.")
    try:
        python = find_python(one.python).version
    except MissingPythonError as error:
        return Fact(section, one.name, f"environment {one.state}: {error.message}", NOTE, error.hint)
    return Fact(section, one.name, f"environment {one.state}: made with Python {python} when first needed")


def _installed(wanted: str) -> str | None:
    """``name version`` of the first of ``a|b`` that is installed."""
    for name in wanted.split("|"):
        version = _version(name)
        if version is not None:
            return f"{name} {version}"
    return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _sandbox() -> Iterator[Fact]:
    from zoo import sandbox

    wanted, found = settings_from().sandbox, sandbox.level()
    strong = sandbox.at_least(found, wanted)
    hint = None if strong else "Files that could run code are refused here unless `--trust` is given."
    yield Fact("sandbox", "level", found, OK if strong else PROBLEM, hint)
    yield Fact("sandbox", "wanted", f"{wanted} (--sandbox, ZOO_SANDBOX)")


def _runtime() -> Iterator[Fact]:
    import onnxruntime

    yield Fact("onnx runtime", "providers", ", ".join(onnxruntime.get_available_providers()))
    yield Fact("onnx runtime", "used for proofs", "CPUExecutionProvider")


def _network(offline: bool | None) -> Iterator[Fact]:
    from zoo.fetchers.pip_index import pip_config
    from zoo.transfer.diagnosis import shown

    for name in _PROXIES:
        value = os.environ.get(name) or os.environ.get(name.lower())
        if value:
            yield Fact("network", name, shown(value))
    if offline_wanted(offline):
        yield Fact("network", "offline", "no socket is opened", NOTE, "Unset ZOO_OFFLINE to fetch again.")
        return
    for index in pip_config().indexes:
        yield _reached(index)


def _reached(index: str) -> Fact:
    from zoo.fetchers.pypi import ask
    from zoo.transfer.diagnosis import shown

    try:
        ask(index)
    except ZooError as error:
        return Fact("network", "package index", f"{shown(index)}: {error.message}", PROBLEM, error.hint)
    return Fact("network", "package index", f"{shown(index)} answers")


def _store(cache: AnyPath | None) -> Iterator[Fact]:
    from zoo.store import Store
    from zoo.store.disk import existing

    store = Store.open(settings_from(cache=cache).cache)
    place = existing(store.root)
    writable = os.access(place, os.W_OK)
    hint = None if writable else "`--cache FOLDER` or ZOO_CACHE names a folder that can be written."
    yield Fact("store", "folder", str(store.root), OK if writable else PROBLEM, hint)
    free = shutil.disk_usage(place).free
    hint = None if free >= LOW_SPACE else "`zoo cache prune --older 30d` makes room."
    yield Fact("store", "free space", f"{free / 2**30:.1f} GiB", OK if free >= LOW_SPACE else NOTE, hint)
    contents = store.list()
    used = f"{contents.size / 2**20:.1f} MiB, {len(contents.models)} models"
    yield Fact("store", "used", used)
