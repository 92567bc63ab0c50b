"""Which environment a source is loaded in: the current one where it will do, else one of a lock file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from zoo import plugins
from zoo.environments import stored
from zoo.environments.building import build
from zoo.environments.javas import find_java
from zoo.environments.locks import Lock, find_lock
from zoo.environments.matching import locks_for
from zoo.environments.stored import Environment
from zoo.errors import MissingPackageError, ZooError
from zoo.records import Detection, record
from zoo.store import Store


@record
class Wish:
    """How to choose: `isolated` never takes the current environment, `offline` never builds one.

    With `own_code` the user names code that builds the model: the framework's own environment is right then.
    """

    isolated: bool = False
    offline: bool = False
    own_code: bool = False
    cache: Optional[Path] = None
    say: Callable[[str], None] = lambda text: None


def choose(framework: str, detection: Detection, wish: Wish) -> Environment:
    """The environment for a file: of those that are right for it, the first that needs no building.

    A converter without lock files runs in the current environment. Raises `MissingPackageError` where nothing
    fits and nothing may be built, `MissingJavaError`, and what `build` raises.
    """
    _require_java(framework)
    names = (framework,) if wish.own_code else locks_for(framework, detection)
    found = [find_lock(name, framework) for name in names]
    locks = [lock for lock in found if lock is not None]
    if not locks:
        return _without_lock(framework, wish)
    store = Store.open(wish.cache)
    at_hand = (_at_hand(lock, store, wish) for lock in locks)
    return next(filter(None, at_hand), None) or _built(locks[0], store, wish)


def _require_java(framework: str) -> None:
    """Raise `MissingJavaError` before anything is built for a source that needs a Java."""
    needs = plugins.needs(plugins.converter_target(framework))
    if needs.java is not None:
        find_java(needs.java, needs.java_newest)


def _at_hand(lock: Lock, store: Store, wish: Wish) -> Environment | None:
    if not wish.isolated and satisfied(lock):
        return stored.current()
    return stored.ready(lock, store)


def _without_lock(framework: str, wish: Wish) -> Environment:
    if wish.isolated:
        raise MissingPackageError(
            f"the converter of {framework!r} brings no lock file to build an environment from",
            hint="Without --isolated it runs in the current environment.",
        )
    return stored.current()


def _built(lock: Lock, store: Store, wish: Wish) -> Environment:
    if wish.offline:
        raise not_built(lock)
    try:
        return build(lock, store, wish.say)
    except ZooError as error:
        error.hint = " ".join(filter(None, (error.hint, _install_here(lock, error.hint))))
        raise


def not_built(lock: Lock) -> MissingPackageError:
    """The error where an environment would have to be built and may not be."""
    return MissingPackageError(
        f"{lock.title} models need {_listed(lacking(lock))}, which {sys.prefix} does not have, and the "
        f"environment {lock.name!r} is not built",
        hint=" ".join(
            filter(None, (f"`zoo env build {lock.name}` with a network builds it.", _install_here(lock, "")))
        ),
    )


def _install_here(lock: Lock, said: str | None) -> str:
    if lock.extra is None or "onnx-zoo-pipeline[" in (said or ""):
        return ""
    return f"Or install it here: pip install 'onnx-zoo-pipeline[{lock.extra}]'"


def _listed(needs: tuple[str, ...]) -> str:
    return ", ".join(need.split("|")[0] for need in needs) or "their own environment"


def satisfied(lock: Lock) -> bool:
    """Whether the current environment has all that the lock says will do."""
    return not lacking(lock)


def lacking(lock: Lock) -> tuple[str, ...]:
    """What of `Lock.satisfied_by` the current environment does not have."""
    return tuple(need for need in lock.satisfied_by if not any(map(_installed, need.split("|"))))


def _installed(requirement: str) -> bool:
    """Whether a ``name>=1,<2`` is installed here; extras and markers have no meaning in `satisfied_by`."""
    from importlib.metadata import PackageNotFoundError, version

    name = re.match(r"\s*[\w.-]*", requirement)
    assert name is not None
    try:
        found = version(name[0].strip())
    except (PackageNotFoundError, ValueError):
        return False
    specifier = requirement[name.end() :].strip()
    if not specifier:
        return True
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(found, prereleases=True)
