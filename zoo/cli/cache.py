"""``zoo cache``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from zoo.cli import options, show
from zoo.errors import CorruptBlobError, UsageError

SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
BYTES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@click.group("cache")
def group() -> None:
    """Look after the store."""


@group.command("path")
@options.cache
@options.output
def path(cache: Path | None, as_json: bool, quiet: bool, verbose: int) -> None:
    """Where the store lies."""
    from zoo import cache as api

    found = api.path(cache=cache)
    if as_json:
        show.print_json({"path": found})
    else:
        click.echo(str(found))


@group.command("list")
@options.cache
@options.output
def list_(cache: Path | None, as_json: bool, quiet: bool, verbose: int) -> None:
    """The models of the store, and what else takes room. (`zoo env list` shows the environments.)"""
    from zoo import cache as api

    found = api.list(cache=cache)
    if as_json:
        show.print_json(found)
        return
    sizes = {blob.digest: blob.size for blob in found.blobs}
    rows = [
        (str(model.path), show.size(sum(sizes.get(digest, 0) for digest in model.files.values())))
        for model in found.models
    ]
    click.echo(show.table(rows, () if quiet else ("MODEL", "SIZE")))
    if not quiet:
        counts = f"{len(found.blobs)} blobs, {len(found.environments)} environments"
        counts += f", {len(found.leftovers)} leftovers"
        click.echo(f"{found.root}: {show.size(found.size)} in {counts}, {len(found.quarantined)} quarantined")


@group.command("verify")
@options.cache
@options.output
def verify(cache: Path | None, as_json: bool, quiet: bool, verbose: int) -> int:
    """Hash every file of the store and say what is wrong."""
    from zoo import cache as api

    found = api.verify(cache=cache)
    if as_json:
        show.print_json(found)
    else:
        for damage in found.damaged:
            click.echo(f"{damage.reason}: {damage.path} (needed by {', '.join(damage.users) or 'nothing'})")
        if not quiet:
            click.echo(f"{found.files} files, {show.size(found.size)}: {len(found.damaged)} damaged")
    return 0 if found.passed else CorruptBlobError.exit_code


@group.command("repair")
@options.cache
@options.output
def repair(cache: Path | None, as_json: bool, quiet: bool, verbose: int) -> None:
    """Move damaged files to quarantine and build models again."""
    from zoo import cache as api

    found = api.repair(cache=cache)
    if as_json:
        show.print_json(found)
        return
    moved, built, lost = len(found.quarantined), len(found.rebuilt), len(found.lost)
    click.echo(f"{moved} files to quarantine, {built} models built again, {lost} to be pulled again")
    for name in found.lost:
        click.echo(f"pull again: {name}")


@group.command("prune")
@click.option("--older", metavar="AGE", help="Also models and environments not used for AGE: 12h, 30d, 8w.")
@click.option("--max-size", metavar="SIZE", help="Also what was used longest ago above SIZE: 500M, 20G.")
@click.option(
    "--grace", metavar="AGE", default="1h", show_default=True, help="Keep what was used within AGE."
)
@click.option("--dry-run", is_flag=True, help="Only say what would be removed.")
@options.cache
@options.output
def prune(
    older: str | None,
    max_size: str | None,
    grace: str,
    as_json: bool,
    quiet: bool,
    verbose: int,
    **asked: Any,
) -> None:
    """Remove what no pull needs, environments without a lock file, and what dead processes left."""
    from zoo import cache as api

    found = api.prune(
        older=None if older is None else quantity(older, SECONDS, "AGE such as 12h or 30d"),
        max_size=None if max_size is None else int(quantity(max_size, BYTES, "SIZE such as 500M or 20G")),
        grace=quantity(grace, SECONDS, "AGE such as 12h or 30d"),
        **asked,
    )
    if as_json:
        show.print_json({"freed": found.freed, **show.fields(found)})
        return
    for removed in () if quiet else found.removed:
        click.echo(f"{removed.what:<11} {show.size(removed.size):>10}  {removed.name}")
    word = "would be freed" if asked["dry_run"] else "freed"
    click.echo(f"{show.size(found.freed)} {word}, {show.size(found.after)} left")


def quantity(text: str, units: dict[str, int], form: str) -> float:
    """A number with a unit of `units`; raises `UsageError` that names the `form`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]?)i?b?", text.strip().lower())
    if match is None or match[2] not in units:
        raise UsageError(f"{text!r} is no {form}")
    return float(match[1]) * units[match[2]]
