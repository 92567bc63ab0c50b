"""``zoo bisect``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import options, show


@click.command("bisect")
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="reproducer",
    show_default=True,
    help="A folder.",
)
@options.source
@options.force
@options.cache
@options.offline
@options.isolated
@options.trust
@options.bounds
@options.output
def command(model: Path, source: Path, as_json: bool, quiet: bool, verbose: int, **asked: Any) -> None:
    """Find the first node of MODEL that computes something else than SOURCE.

    Writes a minimal reproducer (model, inputs, expected outputs, a script) and the draft of an issue.
    """
    from zoo import api

    asked["builder_kwargs"] = options.pairs(asked.pop("builder_arg"), "--builder-arg")
    asked["options"] = options.pairs(asked.pop("option"), "--option")
    found = api.bisect(model, source, on_stage=show.stages(quiet, as_json), **asked)
    if as_json:
        show.print_json(found)
        return
    click.echo(str(found.finding))
    if not quiet:
        if found.finding.where:
            click.echo(f"at {found.finding.where}")
        click.echo(f"reproducer and issue: {found.reproducer}")
