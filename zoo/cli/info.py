"""``zoo info``."""

from __future__ import annotations

from typing import Any

import click

from zoo.cli import options, show
from zoo.records import RegistryEntry, VerifiedModel


@click.command("info")
@click.argument("ref")
@options.registry
@options.cache
@options.output
def command(ref: str, as_json: bool, quiet: bool, verbose: int, **asked: Any) -> None:
    """What the registry and the store know of a model.

    With `--json` the object has `entry` (the registry) and `pulled` (null before the first pull: path,
    digest, opset, signature, metadata and the verification report).
    """
    from zoo import api

    entry, pulled = api.info(ref, **asked)
    if as_json:
        show.print_json({"entry": entry, "pulled": pulled})
    else:
        click.echo(_text(entry, pulled))


def _text(entry: RegistryEntry, pulled: VerifiedModel | None) -> str:
    rows = [("model", str(entry.ref)), ("kind", entry.kind), ("task", entry.task)]
    if entry.description:
        rows.append(("about", entry.description))
    rows += [("file", f"{file.path}  {show.size(file.size)}  sha256 {file.sha256}") for file in entry.files]
    rows += [("source", source) for source in entry.files[0].sources]
    rows.append(("licence", show.licence(entry)))
    signature = pulled.model.signature if pulled else entry.signature
    rows += show.signature(signature) if signature else []
    if pulled is None:
        rows.append(("pulled", f"no; `zoo pull {entry.ref}` brings it"))
    else:
        rows += [
            ("pulled", str(pulled.path)),
            ("sha256", pulled.model.digest),
            ("opset", str(pulled.model.opset)),
        ]
        rows.append(("proof", show.verdict(pulled.report)))
    return show.table(rows)
