"""``zoo convert``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli import options, show

if TYPE_CHECKING:
    from zoo.batch import Conversion
    from zoo.records import VerifiedModel


@click.command("convert")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write (default: <stem>.onnx); for several files, their folder.",
)
@click.option("--jobs", type=int, help="Files worked on at a time (default: 2, or the number of processors).")
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
def command(
    paths: tuple[Path, ...], jobs: int | None, as_json: bool, quiet: bool, verbose: int, **asked: Any
) -> int:
    """Convert model files to ONNX, and prove that each computes what its source computes.

    What wrote a file is read from its content. The file `<stem>.onnx` appears in the current folder only
    when its outputs agree with the source's on every feed. Of several files each is converted, whatever
    becomes of the others (in the API: `zoo.convert_all`); the exit code is that of the first failure.

    \b
    zoo convert model.pkl
    zoo convert model.pkl --sample rows.csv
    zoo convert *.pkl --jobs 2 -o models/
    zoo convert weights.pth --builder mynets:resnet --input 'x:float32[batch,3,224,224]'
    """
    asked["builder_kwargs"] = options.pairs(asked.pop("builder_arg"), "--builder-arg")
    asked["options"] = options.pairs(asked.pop("option"), "--option")
    if len(paths) > 1:
        return _several(paths, jobs, as_json, quiet, asked)
    from zoo import api

    model = api.convert(paths[0], on_stage=show.stages(quiet, as_json), **asked)
    show.print_json(model) if as_json else click.echo(_text(model, quiet))
    return 0


def _several(
    paths: tuple[Path, ...], jobs: int | None, as_json: bool, quiet: bool, asked: dict[str, Any]
) -> int:
    from zoo.batch import convert_all
    from zoo.cli.main import error_json

    folder = asked.pop("output")
    watch = None if as_json else lambda result: _print(result, quiet)
    found = convert_all(paths, folder, jobs=jobs, on_result=watch, **asked)
    if as_json:
        show.print_json([{"error": error_json(one.error)} if one.error else one.model for one in found])
    return next((one.error.exit_code for one in found if one.error), 0)


def _print(result: Conversion, quiet: bool) -> None:
    """One file's result, as soon as it is there."""
    if result.error is not None:
        click.echo(f"error: {result.path}: {result.error.message}", err=True)
        if result.error.hint:
            click.echo(f"hint: {result.error.hint}", err=True)
    elif result.model is not None:
        click.echo(_text(result.model, quiet))


def _text(model: VerifiedModel, quiet: bool) -> str:
    if quiet:
        return str(model.path)
    source = f"source  {model.detection.description}\n" if model.detection else ""
    return source + show.verified(model)
