"""``zoo samples``."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import options, show


@click.command("samples")
@click.argument("ref")
@options.offline
@options.allow_private
@options.registry
@options.cache
@options.output
def command(ref: str, as_json: bool, quiet: bool, verbose: int, **asked: Any) -> None:
    """Fetch the sample inputs of a model, such as a recording for a speech model; prints their paths."""
    from zoo import api

    paths = api.samples(ref, progress=not (quiet or as_json), **asked)
    if as_json:
        show.print_json({"ref": ref, "paths": paths})
    elif paths:
        click.echo("\n".join(map(str, paths)))
    else:
        click.echo(f"the registry has no sample inputs for {ref}", err=True)
