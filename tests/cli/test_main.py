"""The outer door: help, mistakes, exit codes, JSON errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.cli.main import run
from zoo.errors import EXIT_CODES, ZooError

ROOT = Path(__file__).resolve().parents[2]


def test_help_lists_every_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"\n  {code} " in shown for code in EXIT_CODES)


def test_the_documented_exit_codes_are_the_real_ones() -> None:
    table = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for code, meaning in EXIT_CODES.items():
        assert f"| {code} | {meaning} |" in table


def test_every_error_has_a_documented_code() -> None:
    def tree(kind: type[ZooError]) -> list[type[ZooError]]:
        return [kind, *(sub for child in kind.__subclasses__() for sub in tree(child))]

    assert {kind.exit_code for kind in tree(ZooError)} <= set(EXIT_CODES)


def test_a_typo_in_a_command_is_answered_with_the_right_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pul", "magika"]) == 2
    assert "Did you mean `zoo pull`?" in capsys.readouterr().err


def test_a_wrong_option_ends_with_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["list", "--nonsense"]) == 2
    assert "--nonsense" in capsys.readouterr().err


def test_an_unknown_model_ends_with_three(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["pull", "magikaa"]) == 3
    assert "Did you mean 'magika'?" in capsys.readouterr().err


def test_json_errors_are_documents_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "nothing-like-this", "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["type"], error["exit_code"]) == ("UnknownModelError", 3)
    assert error["hint"]


def test_version_is_the_distributions(capsys: pytest.CaptureFixture[str]) -> None:
    from importlib.metadata import version

    assert run(["--version"]) == 0
    assert version("onnx-zoo-pipeline") in capsys.readouterr().out


def test_the_module_runs_like_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "zoo", "lst"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "Did you mean `zoo list`?" in done.stderr


def test_a_closed_pipe_is_no_error() -> None:
    command = f"{sys.executable} -m zoo list | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_exist(shell: str) -> None:
    script = "from zoo.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={"_ZOO_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
    )
    assert "_ZOO_COMPLETE" in done.stdout
