"""The `zoo` command: a lazy table of commands, and the one place where an error becomes an exit code."""

from __future__ import annotations

import json
import os
import sys
import traceback
from importlib import import_module
from typing import Any, NoReturn

import click

from zoo.errors import EXIT_CODES, UsageError, ZooError
from zoo.version import __version__

COMMANDS = {
    "pull": ("zoo.cli.pull:command", "Bring a model as a verified ONNX file."),
    "convert": ("zoo.cli.convert:command", "Convert model files to ONNX, and prove it."),
    "verify": ("zoo.cli.verify:command", "Compare an ONNX file with its source."),
    "bisect": ("zoo.cli.bisect:command", "Find the first wrong node of an ONNX file."),
    "env": ("zoo.cli.env:group", "The environments that source frameworks run in."),
    "sign": ("zoo.cli.sign:command", "Sign the certificate of a model."),
    "bom": ("zoo.cli.bom:command", "A model's bill of materials, CycloneDX."),
    "list": ("zoo.cli.list:command", "All models of the registry."),
    "search": ("zoo.cli.search:command", "Models by words."),
    "info": ("zoo.cli.info:command", "Everything known of one model."),
    "samples": ("zoo.cli.samples:command", "Fetch the sample inputs of a model."),
    "lock": ("zoo.cli.lock:command", "Pin the models of a project in zoo.lock."),
    "bundle": ("zoo.cli.bundle:command", "Put models into one file, for machines without a network."),
    "import": ("zoo.cli.import_:command", "Take a bundle into the store."),
    "validate": ("zoo.cli.validate:command", "Prove entries of the registry anew."),
    "doctor": ("zoo.cli.doctor:command", "Show what works on this machine."),
    "registry": ("zoo.cli.registry:group", "Work on a registry file."),
    "cache": ("zoo.cli.cache:group", "Look after the store."),
}


class LazyGroup(click.Group):
    """Commands are imported when they run; their one-line help stands in `COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help) for name, (_, help) in COMMANDS.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])
        formatter.write("\n")
        formatter.write_text("`zoo COMMAND --help` explains a command. Completion: see docs/cli.md.")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            raise _unknown(args[0])
        return super().resolve_command(ctx, args)


def _unknown(name: str) -> UsageError:
    from difflib import get_close_matches

    close = get_close_matches(name, COMMANDS, n=1)
    hint = f"Did you mean `zoo {close[0]}`?" if close else "`zoo --help` lists the commands."
    return UsageError(f"there is no command {name!r}", hint=hint)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="zoo")
@click.option("--offline", is_flag=True, help="Open no socket in any command, as with ZOO_OFFLINE=1.")
@click.pass_context
def cli(ctx: click.Context, offline: bool) -> None:
    """The package manager for ONNX models: it pulls, converts, and proves that each ONNX file computes
    what its source computes."""
    if offline:
        before = os.environ.get("ZOO_OFFLINE", "")
        os.environ["ZOO_OFFLINE"] = "1"
        ctx.call_on_close(lambda: os.environ.update(ZOO_OFFLINE=before))


def main(argv: list[str] | None = None) -> NoReturn:
    """Run the command line and exit with a code of `zoo.errors.EXIT_CODES`."""
    arguments = sys.argv[1:] if argv is None else argv
    sys.exit(run(arguments))


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    as_json = "--json" in arguments
    verbose = bool({"-v", "-vv", "--verbose"} & set(arguments))
    try:
        code = cli.main(args=arguments, prog_name="zoo", standalone_mode=False)
        sys.stdout.flush()
    except ZooError as error:
        _report(error, as_json, verbose)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as shown:
        click.echo(shown.format_message(), err=True)
        return UsageError.exit_code
    except click.ClickException as error:
        _report(UsageError(error.format_message(), hint=_usage_hint(error)), as_json)
        return UsageError.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        if "pull" in arguments:
            click.echo("hint: The same command goes on where the download stopped.", err=True)
        return 130
    except BrokenPipeError:
        _abandon_stdout()
        return 0
    except Exception as error:  # noqa: BLE001 - the last door: a defect of ours, said readably
        _internal(error, as_json, verbose)
        return 1
    return code if isinstance(code, int) else 0


def _usage_hint(error: click.ClickException) -> str:
    ctx = getattr(error, "ctx", None)
    return f"`{ctx.command_path if ctx else 'zoo'} --help` shows the options."


def _report(error: ZooError, as_json: bool, verbose: bool = False) -> None:
    if verbose and error.detail:
        click.echo(error.detail.rstrip(), err=True)
    if as_json:
        click.echo(json.dumps({"error": error_json(error)}, indent=2, ensure_ascii=False))
        return
    click.echo(f"error: {error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def error_json(error: ZooError) -> dict[str, Any]:
    """An error as the object that ``--json`` prints."""
    from zoo import wire

    shown = {
        "type": type(error).__name__,
        "exit_code": error.exit_code,
        "message": error.message,
        "hint": error.hint,
    }
    report = getattr(error, "report", None)
    return shown if report is None else {**shown, "report": wire.to_json(report)}


def _internal(error: Exception, as_json: bool, verbose: bool) -> None:
    if verbose:
        traceback.print_exc()
    kind = ZooError(
        f"internal error: {type(error).__name__}: {error}",
        hint="This is a defect of zoo: `-v` shows the traceback; please report it.",
    )
    _report(kind, as_json)


def _abandon_stdout() -> None:
    """Let the interpreter's flush at exit go nowhere: whoever read our output has gone."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
