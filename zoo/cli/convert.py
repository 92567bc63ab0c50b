"""``zoo convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import options, show
from zoo.errors import UsageError


@click.command("convert")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The file to write (default: <stem>.onnx)."
)
@click.option(
    "--opset", type=int, help="Opset of the ONNX file (default: 17, or what the converter reaches)."
)
@click.option("--float32", is_flag=True, help="Compute in float32 where the source uses float64.")
@options.source
@options.force
@options.keep_unverified
@options.cache
@options.offline
@options.isolated
@options.trust
@options.tolerance
@options.bounds
@options.output
def command(paths: tuple[Path, ...], as_json: bool, quiet: bool, verbose: int, **asked: Any) -> None:
    """Convert model files to ONNX, and prove that each computes what its source computes.

    What wrote a file is read from its content. The file `<stem>.onnx` appears in the current folder only
    when its outputs agree with the source's on every feed.

    \b
    zoo convert model.pkl
    zoo convert model.pkl --sample rows.csv
    zoo convert weights.pth --builder mynets:resnet --input 'x:float32[batch,3,224,224]'
    """
    from zoo import api

    if asked["output"] is not None and len(paths) > 1:
        raise UsageError(f"--output names one file, {len(paths)} are to be converted")
    watch = show.stages(quiet, as_json)
    asked["builder_kwargs"] = options.pairs(asked.pop("builder_arg"), "--builder-arg")
    asked["options"] = options.pairs(asked.pop("option"), "--option")
    converted = [api.convert(path, on_stage=watch, **asked) for path in paths]
    if as_json:
        show.print_json(converted[0] if len(converted) == 1 else converted)
        return
    for model in converted:
        assert model.detection is not None
        if not quiet:
            click.echo(f"source  {model.detection.description}")
        click.echo(str(model.path) if quiet else show.verified(model))
