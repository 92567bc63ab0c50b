"""``zoo cache``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import options, show


@click.group("cache")
def group() -> None:
    """Look after the store."""


@group.command("path")
@options.cache
@options.output
def path(cache: Path | None, as_json: bool, quiet: bool, verbose: int) -> None:
    """Where the store lies."""
    from zoo import cache as api

    found = api.path(cache=cache)
    if as_json:
        show.print_json({"path": found})
    else:
        click.echo(str(found))
