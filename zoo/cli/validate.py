"""``zoo validate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo import wire
from zoo.cli import options, show
from zoo.errors import UsageError


@click.command("validate")
@click.argument("refs", nargs=-1)
@click.option("--all", "all", is_flag=True, help="Every entry of the registry.")
@click.option("--strict", is_flag=True, help="Count entries that no source answered for as failures.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the results as JSON.")
@click.option("--junit", type=click.Path(path_type=Path), help="Write the results as JUnit XML.")
@options.offline
@options.allow_private
@options.registry
@options.cache
@options.bounds
@options.output
def command(
    refs: tuple[str, ...],
    strict: bool,
    report: Path | None,
    junit: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
    **asked: Any,
) -> int:
    """Prove entries of the registry anew; one failure never stops the rest.

    The exit code is 0 when every entry that could be reached was verified, else that of the first failure.
    """
    from zoo.nightly import validate
    from zoo.nightly.junit import junit as as_junit

    if not refs and not asked["all"]:
        raise UsageError("nothing to validate", hint="Name entries, or use --all.")
    on_result = None if quiet or as_json else lambda result: click.echo(_line(result))
    validation = validate(refs, on_result=on_result, **asked)
    document = {"counts": validation.counts, **wire.to_json(validation)}
    if report is not None:
        report.write_text(wire.dumps(document), encoding="utf-8")
    if junit is not None:
        junit.write_text(as_junit(validation), encoding="utf-8")
    if as_json:
        show.print_json(document)
    else:
        click.echo(", ".join(f"{count} {status}" for status, count in validation.counts.items()))
    return validation.exit_code(strict)


def _line(result: Any) -> str:
    text = f"{result.status:<11}  {result.ref:<28}  {result.seconds:6.1f} s"
    return f"{text}  {result.message.splitlines()[0]}" if result.message else text
