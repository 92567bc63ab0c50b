"""`zoo` as people run it, against servers that are slow, wrong or hostile, and against impatience."""

from __future__ import annotations

import functools
import gzip
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.transfer.conftest import Payload, leftovers, visible
from tests.transfer.faulty_server import endless, redirect, serve, throttled
from tests.transfer.test_processes import _unshared
from zoo.cli.main import run
from zoo.store import Store

ROOT = Path(__file__).parents[2]


def model_bytes(megabytes: float = 4.0) -> bytes:
    """An ONNX model that is mostly one constant."""
    import numpy as np
    from onnx import TensorProto, checker, helper, numpy_helper

    noise = np.random.default_rng(4).standard_normal(int(megabytes * 250_000)).astype(np.float32)
    row = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", len(noise)])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", len(noise)])
    nodes = [helper.make_node("Add", ["x", "noise"], ["y"])]
    graph = helper.make_graph(nodes, "noisy", [row], [out], [numpy_helper.from_array(noise, "noise")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    return bytes(model.SerializeToString())


def registry(folder: Path, payload: Payload, source: str, *, private: bool = True) -> Path:
    path = folder / "registry.yaml"
    path.write_text(
        f"""
schema: 1
models:
  noisy:
    kind: zoo
    task: tests
    licence: {{weights: MIT, source: a test}}
    files:
      - path: model.onnx
        sha256: {payload.sha256}
        size: {len(payload.data)}
        sources: ["{source}"]
        allow_private: {str(private).lower()}
"""
    )
    return path


def pull_command(registry_file: Path) -> list[str]:
    return [sys.executable, "-m", "zoo", "pull", "noisy", "--registry", str(registry_file)]


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=["ctrl_c", "kill_9"])
def test_an_interrupted_pull_is_taken_up_again_and_says_what_that_saved(start, tmp_path, cache_dir, sign):
    payload, store = Payload(model_bytes()), Store(cache_dir)
    server = start(throttled(payload.data, 2e6))
    command = pull_command(registry(tmp_path, payload, server.url()))
    # A shell starts its background jobs deaf to Ctrl-C, and a test suite may be one.
    hears = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    told = tmp_path / "told"
    with told.open("w") as errors:
        pulling = subprocess.Popen(
            command, cwd=ROOT, preexec_fn=hears, stdout=subprocess.DEVNULL, stderr=errors
        )
    until = time.monotonic() + 60
    while sum(path.stat().st_size for path in leftovers(store)) < 0.6 * len(payload.data):
        assert time.monotonic() < until
        assert pulling.poll() is None
        time.sleep(0.01)
    pulling.send_signal(sign)
    assert pulling.wait(20) != 0
    assert ("The same command goes on" in told.read_text()) is (sign == signal.SIGINT)
    assert visible(store) == []
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert "resumed, " in again.stderr
    assert "bytes were there already" in again.stderr
    assert int(server.header("range")[1].removeprefix("bytes=").rstrip("-")) >= 0.6 * len(payload.data)
    assert leftovers(store) == []


def test_what_a_killed_pull_left_without_notes_is_swept_by_the_next_one(start, tmp_path, cache_dir):
    payload, store = Payload(model_bytes(0.1)), Store(cache_dir)
    gone = subprocess.Popen(["true"])
    gone.wait()
    blob = store.root / "sha256" / payload.sha256[:2] / payload.sha256
    blob.parent.mkdir(parents=True)
    empty = blob.with_name(f"{payload.sha256}.{os.uname().nodename.replace('.', '_')}-{gone.pid}-1.part")
    empty.touch()
    server = start(serve(payload.data))
    assert run(["pull", "noisy", "--registry", str(registry(tmp_path, payload, server.url()))]) == 0
    assert leftovers(store) == []


@pytest.mark.slow
def test_sixteen_pulls_of_one_model_make_one_download(start, tmp_path, cache_dir):
    payload = Payload(model_bytes(0.5))
    server = start(throttled(payload.data, 0.2e6))
    command = pull_command(registry(tmp_path, payload, server.url()))
    pulls = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for _ in range(16)
    ]
    printed = [pull.communicate(timeout=300)[0].decode() for pull in pulls]
    assert [pull.returncode for pull in pulls] == [0] * 16, printed
    assert len(server.requests) == 1


@pytest.fixture(scope="module")
def packed() -> bytes:
    """400 MB of zeros."""
    return gzip.compress(bytes(400_000_000), 1)


HOSTILE = {
    "gzip_bomb": (None, "sends more than"),
    "endless_body": (endless(b"x" * 65536), "sends more than"),
    "redirect_to_a_file": (redirect("file:///etc/passwd"), "redirects to 'file:'"),
    "redirect_to_a_private_address": (redirect("http://169.254.169.254/latest/"), "private address"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_answer_is_refused_within_a_second_and_nothing_is_written(
    start, tmp_path, cache_dir, capsys, packed, name
):
    script, says = HOSTILE[name]
    script = script or (lambda exchange: exchange.respond(200, packed, "Content-Encoding: gzip"))
    payload = Payload(random.Random(1).randbytes(100_000))
    server = start(script)
    command = ["pull", "noisy", "--registry", str(registry(tmp_path, payload, server.url()))]
    run(["info", "noisy", *command[2:]])  # what is imported first is not the transfer's time
    began, spent = time.monotonic(), time.process_time()
    assert run(command) == 4
    assert time.process_time() - spent < 1
    assert time.monotonic() - began < 5, "a busy machine is forgiven"
    assert says in capsys.readouterr().err
    assert visible(Store(cache_dir)) == leftovers(Store(cache_dir)) == []


def test_a_private_mirror_is_refused_where_neither_registry_nor_user_allow_it(start, tmp_path, capsys):
    payload = Payload(model_bytes(0.01))
    server = start(serve(payload.data))
    command = ["pull", "noisy", "--registry", str(registry(tmp_path, payload, server.url(), private=False))]
    assert run(command) == 4
    assert "is a private address" in capsys.readouterr().err
    assert server.connections == 0


def test_after_one_pull_the_model_comes_without_a_network(start, tmp_path, cache_dir):
    payload = Payload(model_bytes(0.01))
    pull = pull_command(registry(tmp_path, payload, start(serve(payload.data)).url()))
    assert subprocess.run(pull, cwd=ROOT, capture_output=True, timeout=120).returncode == 0
    offline = [*_unshared("-rn"), *pull[:3], "--offline", *pull[3:]]
    again = subprocess.run(offline, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert again.returncode == 0, again.stderr
    assert "noisy" in again.stdout


def test_offline_names_what_is_missing_and_opens_no_socket(start, tmp_path, capsys):
    payload = Payload(model_bytes(0.01))
    server = start(serve(payload.data))
    command = ["--offline", "pull", "noisy", "--registry", str(registry(tmp_path, payload, server.url()))]
    assert run(command) == 4
    assert "offline was asked for" in capsys.readouterr().err
    assert server.connections == 0
    assert os.environ.get("ZOO_OFFLINE", "") == ""
