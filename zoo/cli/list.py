"""``zoo list``."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import options, show


@click.command("list")
@options.registry
@options.output
def command(as_json: bool, quiet: bool, verbose: int, **asked: Any) -> None:
    """All models of the registry, one variant a line."""
    from zoo import api

    found = api.list(**asked)
    if as_json:
        show.print_json(found)
    else:
        click.echo("\n".join(str(entry.ref) for entry in found) if quiet else show.entries(found))
