"""What importing and asking for help may cost, and which names are public."""

from __future__ import annotations

import json
import subprocess
import sys

import zoo

HEAVY = {
    "numpy",
    "onnx",
    "onnxruntime",
    "torch",
    "tensorflow",
    "sklearn",
    "skl2onnx",
    "pandas",
    "requests",
    "yaml",
}


def modules_after(code: str) -> set[str]:
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


def test_help_imports_nothing_heavy() -> None:
    code = "from zoo.cli.main import run\nassert run(['--help']) == 0"
    assert modules_after(code) & HEAVY == set()


def test_help_of_every_command_imports_no_framework() -> None:
    from zoo.cli.main import COMMANDS

    calls = "\n".join(f"assert run([{name!r}, '--help']) == 0" for name in COMMANDS)
    heavy = HEAVY - {"numpy", "requests", "yaml"}
    assert modules_after(f"from zoo.cli.main import run\n{calls}") & heavy == set()


def test_importing_the_package_imports_nothing_of_it() -> None:
    assert modules_after("import zoo") & HEAVY == set()


def test_the_plugin_table_names_real_classes() -> None:
    from zoo import plugins

    for framework in plugins.CONVERTERS:
        converter = plugins.converter(framework)
        assert converter.framework == framework
        assert converter.title
        assert converter.requirements
    for scheme in plugins.FETCHERS:
        assert callable(plugins.fetcher(scheme).fetch)


def test_public_names_are_pinned() -> None:
    assert zoo.__all__ == [
        "Artifact",
        "ConversionRequest",
        "LoadedModel",
        "RegistryEntry",
        "Signature",
        "TensorSpec",
        "Tolerance",
        "VerificationReport",
        "VerifiedModel",
        "ZooError",
        "__version__",
        "bisect",
        "bom",
        "bundle",
        "cache",
        "check_certificate",
        "convert",
        "convert_all",
        "doctor",
        "environments",
        "export",
        "import_bundle",
        "info",
        "list",
        "load",
        "lock",
        "pull",
        "samples",
        "search",
        "sign",
        "validate",
        "verify",
    ]
    assert all(getattr(zoo, name) is not None for name in zoo.__all__)
