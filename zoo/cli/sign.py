"""``zoo sign``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import options, show


@click.command("sign")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), required=True, help="A private key, PEM.")
@options.force
@options.output
def command(model: Path, key: Path, force: bool, as_json: bool, quiet: bool, verbose: int) -> None:
    """Sign the certificate of MODEL, offline. ZOO_KEY_PASSWORD opens an encrypted key."""
    from zoo import certificates

    path = certificates.sign(model, key=key, force=force)
    if as_json:
        show.print_json({"path": path})
    elif not quiet:
        click.echo(str(path))
