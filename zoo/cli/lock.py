"""``zoo lock``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import options, show


@click.command("lock")
@click.argument("refs", nargs=-1)
@click.option(
    "--lock-file",
    "path",
    type=click.Path(path_type=Path),
    default="zoo.lock",
    show_default=True,
    help="The file.",
)
@options.offline
@options.allow_private
@options.registry
@options.cache
@options.output
def command(refs: tuple[str, ...], as_json: bool, quiet: bool, verbose: int, **asked: Any) -> None:
    """Pull models and write their digests to zoo.lock.

    Without REFS everything that the file locks is locked anew. `zoo pull --locked` refuses anything else.
    """
    from zoo import projects

    found = projects.lock(refs, **asked)
    if as_json:
        show.print_json(found)
    elif not quiet:
        rows = [(model.ref, next(iter(model.files.values()))) for model in found.models]
        click.echo(show.table(rows, ("MODEL", "SHA256")))
