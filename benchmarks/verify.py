"""What `zoo verify` costs over the plain runs it consists of: ``python -m benchmarks.verify``.

The plain runs are one process that loads the source and ONNX Runtime, and runs both once on the very feeds
that the verification made. They run in turn, as whole processes, and a third time with the answers kept from
the first; the table gives the medians, of the ratio too, and the largest memory of any process of each side.
Results go to ``docs/verification.md``.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from zoo import pipeline, wire
from zoo.artifacts import open_artifact
from zoo.proof import compared
from zoo.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
MARK = ("<!-- speed: begin -->", "<!-- speed: end -->")
BOUND = 3.0

PLAIN = """
import sys
from importlib import import_module
from pathlib import Path
from zoo import wire
from zoo.jobs import CaseList
from zoo.records import ConversionRequest
from zoo.tensors import load_tensors
request = wire.loads(ConversionRequest, Path(sys.argv[1]).read_text())
module, _, name = sys.argv[2].partition(":")
folder = Path(sys.argv[3])
cases = wire.loads(CaseList, (folder / "cases.json").read_text()).cases
files = [folder / "feeds" / case.name for case in cases if case.refusal is None]
converter = getattr(import_module(module), name)()
model = converter.load(request.artifact, request)
converter.describe(model, request)
for file in files:
    converter.predict(model, load_tensors(file))
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[4], options, providers=["CPUExecutionProvider"])
for file in files:
    session.run(None, load_tensors(file))
"""

MODELS: dict[str, str] = {
    "scikit-learn pipeline": """
import pickle, sys
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
rows, target = load_digits(return_X_y=True)
model = make_pipeline(StandardScaler(), RandomForestClassifier(100, random_state=0)).fit(rows, target)
pickle.dump(model, open(sys.argv[1] + ".pkl", "wb"))
""",
    "torch EfficientNet-Lite0": """
import sys, torch
from converters.architectures.efficientnet_lite import efficientnet_lite
torch.manual_seed(0)
torch.save(efficientnet_lite("lite0").eval().state_dict(), sys.argv[1] + ".pt")
""",
    "Keras MobileNetV2": """
import sys, keras
keras.utils.set_random_seed(0)
keras.applications.MobileNetV2(weights=None, input_shape=(128, 128, 3)).save(sys.argv[1] + ".keras")
""",
    "TFLite MobileNetV2": """
import sys, keras, tensorflow as tf
keras.utils.set_random_seed(0)
model = keras.applications.MobileNetV2(weights=None, input_shape=(128, 128, 3), alpha=0.5)
open(sys.argv[1] + ".tflite", "wb").write(tf.lite.TFLiteConverter.from_keras_model(model).convert())
""",
    "ONNX EfficientNet-Lite0": """
import sys, torch, warnings
from converters.architectures.efficientnet_lite import efficientnet_lite
warnings.simplefilter("ignore")
torch.manual_seed(0)
torch.onnx.export(efficientnet_lite("lite0").eval(), (torch.zeros(1, 3, 224, 224),), sys.argv[1] + ".onnx",
                  dynamo=False, input_names=["x"], dynamic_axes={"x": {0: "batch"}}, opset_version=17)
""",
}
EXTRA: dict[str, list[str]] = {
    "torch EfficientNet-Lite0": [
        "--builder", "converters.architectures.efficientnet_lite:efficientnet_lite",
        "--input", "image:float32[batch,3,224,224]",
    ],
}  # fmt: skip


def main() -> int:
    """Measure, print, and write the table into ``docs/verification.md``; 1 where the bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=3, help="pairs")
    parser.add_argument("--only", default="", help="part of a model's name")
    parser.add_argument("--no-docs", action="store_true")
    asked = parser.parse_args()
    rows, ratios = [], []
    for name in [name for name in MODELS if asked.only in name]:
        with tempfile.TemporaryDirectory() as folder:
            row, ratio = _measured(name, Path(folder), asked.n)
        print(row, flush=True)
        rows.append(row)
        ratios.append(ratio)
    if not asked.no_docs:
        _write(rows)
    return 0 if max(ratios) <= BOUND else 1


def _measured(name: str, folder: Path, pairs: int) -> tuple[str, float]:
    source, model = _made(name, folder)
    verify = [sys.executable, "-m", "zoo", "verify", str(model), "--cache", str(folder / "cache"), "-q"]
    verify += [] if source == model else [str(source), *EXTRA.get(name, [])]
    plain = _plain(source, model, name, folder)
    runs = [[_run(command) for command in ([*verify, "--refresh"], plain, verify)] for _ in range(pairs)]
    full, other, again = ([one[i][0] for one in runs] for i in range(3))
    ratio = statistics.median(x / y for x, y in zip(full, other, strict=True))
    median = statistics.median
    cells = [f"{median(full):.1f} s", f"{median(other):.1f} s", f"{ratio:.2f}×", f"{median(again):.1f} s"]
    memory = [f"{max(one[i][1] for one in runs) >> 20} MiB" for i in range(2)]
    return f"| {name} | {' | '.join([*cells, *memory])} |", ratio


def _made(name: str, folder: Path) -> tuple[Path, Path]:
    """The source and its conversion; of an ONNX file, the file twice."""
    subprocess.run(
        [sys.executable, "-c", MODELS[name], str(folder / "source")], check=True, capture_output=True
    )
    source = next(folder.glob("source.*"))
    if source.suffix == ".onnx":
        return source, source
    target = folder / "model.onnx"
    convert = [sys.executable, "-m", "zoo", "convert", str(source), "-o", str(target), *EXTRA.get(name, [])]
    subprocess.run(convert, check=True, capture_output=True)
    return source, target


def _plain(source: Path, model: Path, name: str, folder: Path) -> list[str]:
    """The command of the plain runs on the feeds that a verification makes."""
    from zoo.api import parse_input
    from zoo.plugins import converter_target

    extra = dict(zip(EXTRA.get(name, [])[::2], EXTRA.get(name, [])[1::2], strict=True))
    asked = (
        {"options": {"builder": extra["--builder"]}, "inputs": (parse_input(extra["--input"]),)}
        if extra
        else {}
    )
    request, detection = pipeline.request_for(open_artifact(source), **asked)
    settings = Settings(refresh=True, cache=folder / "cache")
    proof = compared(model, request, detection, folder / "work", settings)
    (folder / "request.json").write_text(wire.dumps(request), encoding="utf-8")
    arguments = [folder / "request.json", converter_target(request.framework), proof.folder, model]
    return [sys.executable, "-c", PLAIN, *map(str, arguments)]


def _run(command: Sequence[str]) -> tuple[float, int]:
    start = time.perf_counter()
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        # Of the process and of all below it that were waited for, the largest.
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise SystemExit(f"{' '.join(command)[:300]}\n{errors.read().decode()[-3000:]}")
    return seconds, used.ru_maxrss << 10


def _write(rows: list[str]) -> None:
    page = ROOT / "docs" / "verification.md"
    text = page.read_text(encoding="utf-8")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    head = [
        "| source | `zoo verify` | plain runs | ratio | again, reference kept | memory | plain runs |",
        "|---|---|---|---|---|---|---|",
    ]
    body = "\n".join([MARK[0], f"{time.strftime('%Y-%m-%d')}, {machine}", "", *head, *rows, MARK[1]])
    before, rest = text.split(MARK[0])
    page.write_text(before + body + rest.split(MARK[1])[1], encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
