"""Options that several commands share, each named as in the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from zoo.errors import UsageError

F = TypeVar("F", bound=Callable[..., Any])

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
quiet = click.option("-q", "--quiet", is_flag=True, help="Print only what was asked for, and errors.")
verbose = click.option("-v", "--verbose", count=True, help="Say more.")
registry = click.option(
    "--registry", type=click.Path(path_type=Path), help="Another registry file (default: ZOO_REGISTRY)."
)
cache = click.option(
    "--cache", type=click.Path(path_type=Path), help="The store's folder (default: ZOO_CACHE)."
)
offline = click.option("--offline", is_flag=True, default=None, help="Open no socket (default: ZOO_OFFLINE).")
allow_private = click.option(
    "--allow-private", is_flag=True, help="Fetch from private addresses that the registry names."
)
isolated = click.option(
    "--isolated", is_flag=True, help="Load the source in an environment of its own, built once."
)
force = click.option("--force", is_flag=True, help="Overwrite an existing output.")
keep_unverified = click.option(
    "--keep-unverified", is_flag=True, help="Write the file even if its outputs differ; its metadata says so."
)


def trust(function: F) -> F:
    """What may be loaded in which jail."""
    trusted = click.option("--trust", is_flag=True, help="Load a file that could run its author's code.")
    sandbox = click.option(
        "--sandbox",
        metavar="LEVEL",
        help="Weakest jail for such a file (default: ZOO_SANDBOX or landlock+seccomp).",
    )
    return trusted(sandbox(function))


def output(function: F) -> F:
    """``--json``, ``-q`` and ``-v``."""
    return as_json(quiet(verbose(function)))


def bounds(function: F) -> F:
    """Limits of the worker processes."""
    timeout = click.option("--timeout", type=float, metavar="SECONDS", help="Wall-clock limit of a worker.")
    memory = click.option("--memory", type=float, metavar="GIB", help="Memory limit of a worker.")
    return timeout(memory(function))


def tolerance(function: F) -> F:
    """The bound ``|actual - expected| <= atol + rtol * |expected|``."""
    rtol = click.option("--rtol", type=float, help="Relative tolerance instead of the policy's.")
    atol = click.option("--atol", type=float, help="Absolute tolerance instead of the policy's.")
    return rtol(atol(function))


def source(function: F) -> F:
    """What a source file does not say by itself."""
    for option in reversed(_SOURCE):
        function = option(function)
    return function


_SOURCE = (
    click.option("--framework", help="Instead of the one read from the file's content."),
    click.option(
        "--input",
        "input",
        multiple=True,
        metavar="NAME:DTYPE[DIM,…]",
        help="An input; a name as DIM is dynamic.",
    ),
    click.option("--sample", type=click.Path(path_type=Path), help="Typical rows: .csv, .npz or .npy."),
    click.option("--builder", metavar="MODULE:CALLABLE", help="Makes the torch module for these weights."),
    click.option(
        "--builder-arg",
        "builder_arg",
        multiple=True,
        metavar="NAME=VALUE",
        help="Argument of the builder (JSON).",
    ),
    click.option(
        "--option", "option", multiple=True, metavar="NAME=VALUE", help="Option of the converter (JSON)."
    ),
    click.option("--seed", type=int, default=0, show_default=True, help="Of the random feeds."),
)


def pairs(given: tuple[str, ...], option: str) -> dict[str, Any]:
    """``name=value`` options as a mapping; a value that is no JSON is text."""
    return dict(_pair(text, option) for text in given)


def _pair(text: str, option: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise UsageError(f"{option} {text!r} is not NAME=VALUE")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
