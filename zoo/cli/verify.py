"""``zoo verify``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zoo.cli import options, show
from zoo.errors import UsageError, VerificationError


@click.command("verify")
@click.argument("model")
@click.argument("source", required=False, type=click.Path(path_type=Path))
@options.source
@options.isolated
@options.trust
@options.offline
@options.allow_private
@options.registry
@options.cache
@options.tolerance
@options.bounds
@click.option(
    "--data-sets",
    type=click.Path(path_type=Path),
    help="Test data sets: a folder or tar archive with test_data_set_*.  [default: beside MODEL]",
)
@click.option(
    "--constant",
    multiple=True,
    metavar="NAME=VALUE",
    help="An input of MODEL that SOURCE lacks (JSON).",
)
@click.option("--refresh", is_flag=True, help="Ask the source anew, not the answers kept from before.")
@click.option("--junit", type=click.Path(path_type=Path), help="Also write the report as JUnit XML.")
@click.option("--html", type=click.Path(path_type=Path), help="Also write the report as one HTML page.")
@click.option("--certificate", is_flag=True, help="Only compare MODEL, and SOURCE, with its certificate.")
@click.option(
    "--key", type=click.Path(path_type=Path), help="With --certificate: a public key that signed it."
)
@options.output
def command(
    model: str,
    source: Path | None,
    junit: Path | None,
    html: Path | None,
    certificate: bool,
    key: Path | None,
    as_json: bool,
    quiet: bool,
    verbose: int,
    **asked: Any,
) -> int:
    """Compare the ONNX file MODEL with its SOURCE, whoever converted it.

    MODEL may be a name of the registry; then its entry is proven anew. Without SOURCE an ONNX file is
    compared with itself, run without graph optimisations.

    \b
    zoo verify model.onnx model.pkl
    zoo verify magika
    zoo verify model.onnx --data-sets mnist.tar.gz
    zoo verify model.onnx --certificate
    """
    if certificate or key is not None:
        return _certificate(Path(model), source, key, as_json)
    from zoo import api
    from zoo.verification import report as reports

    asked["builder_kwargs"] = options.pairs(asked.pop("builder_arg"), "--builder-arg")
    asked["constants"] = options.pairs(asked.pop("constant"), "--constant")
    asked["options"] = options.pairs(asked.pop("option"), "--option")
    report = api.verify(model, source, on_stage=show.stages(quiet, as_json), **asked)
    if junit is not None:
        _write(junit, reports.junit({model: report}))
    if html is not None:
        from zoo.verification.page import page

        _write(html, page(report, model))
    if as_json:
        show.print_json(report)
    else:
        click.echo(show.verdict(report) if quiet else reports.text(report))
    return 0 if report.passed else VerificationError.exit_code


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _certificate(model: Path, source: Path | None, key: Path | None, as_json: bool) -> int:
    from zoo import certificates

    checked = certificates.check_certificate(model, source, key=key)
    if as_json:
        show.print_json(checked)
    else:
        for problem in checked.problems:
            click.echo(problem)
        if checked.passed:
            signed = f", signed by key {checked.signed_by[0]}" if checked.signed_by else ""
            made = "" if source is None else f", made from {source}"
            click.echo(f"{model} is the certified file{made}{signed}")
    return 0 if checked.passed else VerificationError.exit_code
