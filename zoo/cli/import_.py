"""``zoo import``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import options, show


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path), metavar="BUNDLE")
@click.option("--sha256", help="Digest of the whole file, if you have it from elsewhere.")
@options.cache
@options.output
def command(path: Path, as_json: bool, quiet: bool, verbose: int, **asked: Any) -> None:
    """Take a bundle into the store, verified member by member; of a damaged one, nothing."""
    from zoo import projects

    taken = projects.import_bundle(path, **asked)
    if as_json:
        show.print_json(taken)
    elif not quiet:
        click.echo(f"{', '.join(taken.refs)}: {len(taken.added)} new files; `zoo pull` now needs no network")
