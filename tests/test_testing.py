"""The conformance suite: met by a third party's converter, and hard on one with faults."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zoo import plugins
from zoo.testing import NotConformingError, check_converter

POLYNOMIALS = '''
from __future__ import annotations

import json

from zoo.errors import UnsupportedFileError
from zoo.records import Signature, SourceDescription, TensorSpec


class PolynomialConverter:
    """Polynomials as JSON: {"polynomial": [c0, c1, ...]}, evaluated by numpy."""

    framework = "polynomial"
    title = "numpy polynomial"
    requirements = ("numpy",)
    extra = "polynomial"
    revision = 1

    def recognise(self, path):
        return "json" if path.is_file() and path.read_bytes()[:15] == b'{"polynomial": ' else None

    def load(self, artifact, request):
        try:
            return json.loads(artifact.path.read_text())["polynomial"]
        except (ValueError, KeyError) as error:
            raise UnsupportedFileError(f"{artifact.path.name} is no polynomial: {error}") from error

    def describe(self, model, request):
        signature = Signature((TensorSpec("x", "float64", ("n",)),), (TensorSpec("y", "float64", ("n",)),))
        return SourceDescription(signature, versions={"numpy": "any"})

    def convert(self, model, request):
        import onnx
        from onnx import TensorProto, helper

        nodes, value = [], "c%d" % (len(model) - 1)
        constants = [helper.make_tensor("c%d" % i, TensorProto.DOUBLE, [1], [c]) for i, c in enumerate(model)]
        nodes.append(helper.make_node("Expand", [value, "shape"], ["h%d" % (len(model) - 1)]))
        for i in reversed(range(len(model) - 1)):
            nodes.append(helper.make_node("Mul", ["h%d" % (i + 1), "x"], ["m%d" % i]))
            nodes.append(helper.make_node("Add", ["m%d" % i, "c%d" % i], ["h%d" % i if i else "y"]))
        nodes.insert(0, helper.make_node("Shape", ["x"], ["shape"]))
        rows = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["n"]) for name in "xy"]
        graph = helper.make_graph(nodes, "polynomial", rows[:1], rows[1:], constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)

    def predict(self, model, feeds):
        from numpy.polynomial import polynomial

        return {"y": polynomial.polyval(feeds["x"], model)}
'''


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Installs the text of a module as a distribution with a converter."""

    def install(code: str) -> None:
        site = tmp_path / "site"
        metadata = site / "polynomials-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: polynomials\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(
            "[zoo.converters]\npolynomial = polynomials:PolynomialConverter\n"
        )
        (site / "polynomials.py").write_text(code)
        monkeypatch.syspath_prepend(str(site))
        monkeypatch.setenv("PYTHONPATH", str(site))
        monkeypatch.delitem(sys.modules, "polynomials", raising=False)
        plugins._table.cache_clear()

    yield install
    sys.modules.pop("polynomials", None)
    plugins._table.cache_clear()


@pytest.fixture
def polynomial(tmp_path: Path) -> Path:
    path = tmp_path / "cubic.poly"
    path.write_text(json.dumps({"polynomial": [1.5, -2.0, 0.25, 3.0]}))
    return path


def _failed(error: NotConformingError) -> set[str]:
    return {check.name for check in error.checks if check.failure}


def test_a_third_party_converter_conforms(plugin: Callable[[str], None], polynomial: Path) -> None:
    plugin(POLYNOMIALS)
    checks = check_converter("polynomial", polynomial)
    assert len(checks) == 6


def test_a_file_that_only_a_plugin_knows_is_converted_by_it(
    plugin: Callable[[str], None], polynomial: Path, tmp_path: Path
) -> None:
    import zoo

    plugin(POLYNOMIALS)
    verified = zoo.convert(polynomial, tmp_path / "cubic.onnx")
    assert verified.detection is not None
    assert (verified.detection.framework, verified.detection.kind) == ("polynomial", "json")
    assert verified.report is not None
    assert verified.report.passed


@pytest.mark.parametrize(
    ("good", "bad", "demand"),
    [
        ("import json\n", "import json\nimport numpy\n", "imports its framework late"),
        ('value = [], "c%d" % (len(model) - 1)', 'value = [], "c0"', "converts, and the proof passes"),
        ("revision = 1", 'revision = "1"', "declares what it is"),
        ("json.loads(artifact.path.read_text())", "dict(polynomial=[1.5, -2, 0.25, 3])", "half of a file"),
    ],
)  # fmt: skip
def test_a_faulty_converter_is_named_with_its_fault(
    plugin: Callable[[str], None], polynomial: Path, good: str, bad: str, demand: str
) -> None:
    assert good in POLYNOMIALS
    plugin(POLYNOMIALS.replace(good, bad, 1))
    with pytest.raises(NotConformingError, match=re.escape(demand)) as raised:
        check_converter("polynomial", polynomial)
    assert any(demand in name for name in _failed(raised.value))
