"""``zoo bundle``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import options, show


@click.command("bundle")
@click.argument("refs", nargs=-1, required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The file to write.")
@options.force
@options.offline
@options.allow_private
@options.registry
@options.cache
@options.output
def command(refs: tuple[str, ...], as_json: bool, quiet: bool, verbose: int, **asked: Any) -> None:
    """Put models into one file for machines without a network.

    \b
    zoo bundle resnet50 magika -o models.zoo
    zoo import models.zoo                      # there
    """
    from zoo import projects

    made = projects.bundle(refs, **asked)
    if as_json:
        show.print_json(made)
    elif not quiet:
        total = show.size(sum(member.size for member in made.members))
        click.echo(f"{made.path}: {len(made.pulls)} models, {len(made.members)} files, {total}")
        click.echo(f"sha256 {made.sha256}")
