"""``zoo env``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zoo.cli import options, show
from zoo.cli.cache import SECONDS, quantity
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.environments import Listed


@click.group("env")
def group() -> None:
    """The environments that source frameworks run in."""


@group.command("list")
@options.cache
@options.output
def list_(cache: Path | None, as_json: bool, quiet: bool, verbose: int) -> None:
    """Every environment that a converter asks for, and what the store holds of them.

    current: the environment of zoo itself will do. built: in the store. outdated: in the store, and no lock
    file asks for it any more (`zoo env remove --unused`).
    """
    from zoo import environments

    found = environments.list(cache=cache)
    if as_json:
        show.print_json(found)
        return
    rows = [_row(one) for one in found]
    click.echo(show.table(rows, () if quiet else ("NAME", "STATE", "PYTHON", "LOCK", "SIZE", "USED")))
    for one in found if verbose else ():
        if one.path is not None:
            click.echo(f"{one.name}: {one.path}")


def _row(one: Listed) -> tuple[str, ...]:
    used = "" if one.used is None else f"{datetime.fromtimestamp(one.used):%Y-%m-%d}"
    size = show.size(one.size) if one.size else ""
    return (one.name, one.state, one.python, one.lock[:12], size, used)


@group.command("build")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.cache
@options.offline
@options.output
def build(
    names: tuple[str, ...],
    cache: Path | None,
    offline: bool | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> None:
    """Build environments ahead of time, such as on a machine that has a network."""
    from zoo import environments

    say = None if quiet or as_json else lambda text: click.echo(text, err=True)
    built = [environments.build(name, cache=cache, offline=offline, on_stage=say) for name in names]
    if as_json:
        show.print_json(built)
        return
    for one in built:
        click.echo(str(one.folder) if quiet else f"{one.name}  Python {one.python}  {one.folder}")


@group.command("remove")
@click.argument("names", nargs=-1, metavar="NAME...")
@click.option("--unused", is_flag=True, help="Those that no lock file asks for, and what dead builders left.")
@click.option("--older", metavar="AGE", help="Those not used for AGE: 12h, 30d, 8w.")
@options.cache
@options.output
def remove(
    names: tuple[str, ...],
    unused: bool,
    older: str | None,
    cache: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
) -> None:
    """Remove environments from the store. Each is built again when it is needed."""
    from zoo import environments

    if not names and not unused and older is None:
        raise UsageError("nothing to remove was named", hint="Give names, --unused or --older AGE.")
    age = None if older is None else quantity(older, SECONDS, "AGE such as 12h or 30d")
    removed = environments.remove(*names, unused=unused, older=age, cache=cache)
    if as_json:
        show.print_json(removed)
        return
    for one in removed:
        click.echo(one.name if quiet else f"{one.name}  {show.size(one.size)}  {one.path}")
    if not quiet:
        click.echo(f"{show.size(sum(one.size for one in removed))} freed")
