"""``zoo search``."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import options, show


@click.command("search")
@click.argument("words", nargs=-1, required=True)
@options.registry
@options.output
def command(words: tuple[str, ...], as_json: bool, quiet: bool, verbose: int, **asked: Any) -> None:
    """Models whose name, task or description holds every word.

    \b
    zoo search face detection
    """
    from zoo import api

    found = api.search(" ".join(words), **asked)
    if as_json:
        show.print_json(found)
    elif not found:
        click.echo("nothing found; `zoo list` shows all models", err=True)
    else:
        click.echo("\n".join(str(entry.ref) for entry in found) if quiet else show.entries(found))
