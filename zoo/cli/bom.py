"""``zoo bom``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import options


@click.command("bom")
@click.argument("model", type=click.Path(path_type=Path))
@options.output
def command(model: Path, as_json: bool, quiet: bool, verbose: int) -> None:
    """Print the certificate of MODEL as a CycloneDX 1.6 ML-BOM (always JSON)."""
    from zoo import certificates

    click.echo(certificates.bom(model).rstrip())
