"""``zoo registry``."""

from __future__ import annotations

from pathlib import Path

import click

from zoo.cli import options, show
from zoo.errors import RegistryFormatError


@click.group("registry")
def group() -> None:
    """Work on a registry file."""


@group.command("lint")
@click.argument("path", required=False, type=click.Path(path_type=Path))
@options.registry
@options.output
def lint(path: Path | None, registry: Path | None, as_json: bool, quiet: bool, verbose: int) -> int:
    """Check a registry file: every problem, each with its line and key path.

    PATH, or --registry, or ZOO_REGISTRY, or the registry that comes with zoo.
    """
    from zoo.registry import lint as check
    from zoo.registry import registry_path

    target = registry_path(path or registry)
    problems = check(target)
    if as_json:
        show.print_json({"path": target, "problems": problems})
    else:
        for problem in problems:
            click.echo(str(problem))
        if not quiet:
            click.echo(f"{target}: {len(problems)} problems", err=True)
    return RegistryFormatError.exit_code if problems else 0
