"""What `zoo convert`, proof included, costs over the raw converter run alone: ``make bench-convert``.

Each pair runs in turn, A B A B …, as whole processes from a cold interpreter; the table gives the median of
the ratios of the pairs, which holds when the machine's speed drifts. It also measures `zoo --help` over a
bare interpreter and a warm `zoo.pull`. Results go to ``docs/performance.md``.
"""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARK = ("<!-- convert: begin -->", "<!-- convert: end -->")

MAKE_MODELS = """
import pickle, sys
from pathlib import Path
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
folder = Path(sys.argv[1])
rows, target = load_digits(return_X_y=True)
small = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)).fit(rows, target)
folder.joinpath("small.pkl").write_bytes(pickle.dumps(small))
for number in range(10):
    copy = make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=number)).fit(rows, target)
    folder.joinpath(f"copy{number}.pkl").write_bytes(pickle.dumps(copy))
import keras
keras.utils.set_random_seed(0)
keras.applications.ResNet50(weights=None).save(folder / "resnet50.keras")
keras.applications.MobileNetV2(weights=None, input_shape=(128, 128, 3)).save(folder / "mobilenet.keras")
"""

RAW_SKLEARN = """
import pickle, sys
from skl2onnx import to_onnx
model = pickle.load(open(sys.argv[1], "rb"))
import numpy as np
onx = to_onnx(model, np.zeros((1, 64), np.float32), options={"zipmap": False}, target_opset=21)
open(sys.argv[2], "wb").write(onx.SerializeToString())
"""

RAW_KERAS = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, tensorflow as tf, tf2onnx
model = keras.saving.load_model(sys.argv[1], compile=False)
spec = [tf.TensorSpec([None, *t.shape[1:]], t.dtype, name=t.name) for t in model.inputs]
fn = tf.function(lambda *x: model(x[0], training=False), input_signature=spec)
onx, _ = tf2onnx.convert.from_function(fn, spec, opset=17)
open(sys.argv[2], "wb").write(onx.SerializeToString())
"""


def main() -> None:
    """Measure, print, and write the table into ``docs/performance.md``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="pairs")
    pairs = parser.parse_args().n
    # As pip leaves it behind an installation, whatever this shell's PYTHONDONTWRITEBYTECODE says.
    for package in ("zoo", "converters"):
        compileall.compile_dir(ROOT / package, quiet=1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-c", MAKE_MODELS, name], check=True, capture_output=True)
        rows = [
            _against("scikit-learn pickle, 20 trees", folder / "small.pkl", RAW_SKLEARN, pairs),
            _against("Keras MobileNetV2", folder / "mobilenet.keras", RAW_KERAS, pairs),
            _ten(folder),
            _memory("Keras ResNet50", folder / "resnet50.keras", RAW_KERAS),
            _jail(pairs),
            _help(pairs),
            _warm_pull(folder),
        ]
    table = "\n".join(
        [
            "| what | measured | ours, median | other, median | ratio or difference |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )
    print(table)
    _write(table)


def _against(what: str, model: Path, raw: str, pairs: int) -> str:
    out = model.with_suffix(".onnx")
    ours = [sys.executable, "-m", "zoo", "convert", str(model), "-o", str(out), "--force", "-q"]
    other = [sys.executable, "-c", raw, str(model), str(out.with_suffix(".raw.onnx"))]
    a, b = _paired(ours, other, pairs)
    ratio = statistics.median(x / y for x, y in zip(a, b, strict=True))
    return _row(
        what, "`zoo convert`, proof included, against the raw converter's process", a, b, f"{ratio:.2f}×"
    )


def _ten(folder: Path) -> str:
    """Ten pickles in one command, against ten commands."""
    paths = [str(folder / f"copy{number}.pkl") for number in range(10)]
    together = [sys.executable, "-m", "zoo", "convert", *paths, "-o", str(folder), "--force", "-q"]
    alone = [
        [sys.executable, "-m", "zoo", "convert", path, "-o", str(folder / "alone.onnx"), "--force", "-q"]
        for path in paths
    ]
    a = [_seconds(together) for _ in range(3)]
    b = [sum(map(_seconds, alone)) for _ in range(3)]
    ratio = statistics.median(x / y for x, y in zip(a, b, strict=True))
    return _row("ten scikit-learn pickles", "one command against ten", a, b, f"{ratio:.2f}×")


def _memory(what: str, model: Path, raw: str) -> str:
    """Peak resident memory of a command and all that it starts, the largest process of it."""
    out = model.with_suffix(".onnx")
    ours = [sys.executable, "-m", "zoo", "convert", str(model), "-o", str(out), "--force", "-q"]
    other = [sys.executable, "-c", raw, str(model), str(out.with_suffix(".raw.onnx"))]
    a, b = _peak(ours), _peak(other)
    return (
        f"| {what} | peak memory of `zoo convert`, proof included, against the raw converter's process "
        f"| {a / 2**30:.2f} GiB | {b / 2**30:.2f} GiB | {a / b:.2f}× |"
    )


def _peak(command: Sequence[str]) -> int:
    # Of all descendants that were waited for, ru_maxrss is the largest one's.
    code = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, capture_output=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
    return int(done.stdout)


def _jail(pairs: int) -> str:
    """A jailed interpreter that does nothing, against a plain one."""
    from zoo import sandbox

    command = [sys.executable, "-c", "pass"]
    with tempfile.TemporaryDirectory() as folder:
        a, b = [], []
        for _ in range(4 * pairs):
            begun = time.perf_counter()
            sandbox.run(command, Path(folder))
            a.append(time.perf_counter() - begun)
            b.append(_seconds(command))
    extra = statistics.median(x - y for x, y in zip(a, b, strict=True))
    return _row("the sandbox", f"{sandbox.level()} over a plain child", a, b, f"+{extra * 1e3:.0f} ms")


def _help(pairs: int) -> str:
    a, b = _paired([sys.executable, "-m", "zoo", "--help"], [sys.executable, "-c", "pass"], 4 * pairs)
    extra = statistics.median(x - y for x, y in zip(a, b, strict=True))
    return _row("`zoo --help`", "over a bare interpreter", a, b, f"+{extra * 1e3:.0f} ms")


def _warm_pull(folder: Path) -> str:
    code = (
        "import time, zoo; zoo.pull('magika'); t = time.perf_counter();"
        "[zoo.pull('magika') for _ in range(50)]; print((time.perf_counter() - t) / 50)"
    )
    environment = {**os.environ, "ZOO_CACHE": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    seconds = float(done.stdout)
    return f"| warm `zoo.pull` | in process, already in the store | {seconds * 1e3:.1f} ms | | |"


def _paired(a: Sequence[str], b: Sequence[str], pairs: int) -> tuple[list[float], list[float]]:
    _seconds(a), _seconds(b)  # once each, so that files are in memory
    measured = [(_seconds(a), _seconds(b)) for _ in range(pairs)]
    return [first for first, _ in measured], [second for _, second in measured]


def _seconds(command: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def _row(what: str, measured: str, a: list[float], b: list[float], result: str) -> str:
    return f"| {what} | {measured} | {statistics.median(a):.2f} s | {statistics.median(b):.2f} s | {result} |"


def _write(table: str) -> None:
    page = ROOT / "docs" / "performance.md"
    text = page.read_text(encoding="utf-8")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    stamp = f"{time.strftime('%Y-%m-%d')}, {machine}"
    before, rest = text.split(MARK[0])
    after = rest.split(MARK[1])[1]
    page.write_text(f"{before}{MARK[0]}\n{stamp}\n\n{table}\n{MARK[1]}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
