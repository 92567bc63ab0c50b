"""`zoo.export`: live models from training code, in process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.errors import UsageError


def test_a_live_estimator_is_exported_and_proven(tmp_path: Path) -> None:
    from sklearn.datasets import load_diabetes
    from sklearn.linear_model import Ridge

    rows, target = load_diabetes(return_X_y=True)
    model = Ridge().fit(rows, target)
    exported = zoo.export(model, rows[:8], tmp_path / "ridge.onnx")
    assert exported.report is not None
    assert exported.report.passed
    loaded = zoo.load(exported.path)
    np.testing.assert_allclose(next(iter(loaded(rows).values())).ravel(), model.predict(rows), rtol=1e-12)


def test_a_frame_gives_one_input_for_each_column(tmp_path: Path) -> None:
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression

    wine = load_wine(as_frame=True)
    model = LogisticRegression(max_iter=5000).fit(wine.data, wine.target)
    exported = zoo.export(model, wine.data.head(), tmp_path / "wine.onnx")
    assert [spec.name for spec in exported.model.signature.inputs] == list(wine.data.columns)


def test_a_live_torch_module_keeps_a_dynamic_batch(tmp_path: Path) -> None:
    import torch

    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    exported = zoo.export(module, torch.zeros(2, 4), tmp_path / "net.onnx")
    outputs = zoo.load(exported.path)(np.ones((5, 4), np.float32))
    assert next(iter(outputs.values())).shape == (5, 2)


def test_parts_in_sixteen_bits_are_judged_by_their_rounding(tmp_path: Path) -> None:
    import torch

    class Mixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = torch.nn.Linear(8, 16).half(), torch.nn.Linear(16, 4)

        def forward(self, x: object) -> object:
            return self.last(self.first(x.half()).float().relu())

    torch.manual_seed(0)
    module = Mixed().eval()
    exported = zoo.export(module, torch.randn(3, 8), tmp_path / "mixed.onnx")
    rows = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    with torch.no_grad():
        expected = module(torch.from_numpy(rows)).numpy()
    assert np.abs(zoo.load(exported.path)(rows)["output"] - expected).max() < 5e-3


def test_what_no_converter_knows_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"builtins\.dict"):
        zoo.export({}, np.zeros(3), tmp_path / "x.onnx")
