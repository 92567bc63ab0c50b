"""Planted faults are located: the node in the graph, and the layer in the source."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tests.verification.planted.edits import changed_nodes
from tests.verification.planted.suite import planted, prepared
from zoo.errors import VerificationError
from zoo.tensors import load_tensors
from zoo.verification.bisection import (
    Inside,
    bisect,
    failing_case,
    located,
    node_taps,
    taps_from,
)
from zoo.verification.reproducer import cut, write

RANDOM = np.random.default_rng(0)
FEEDS = {
    "image": {"x": RANDOM.standard_normal((3, 3, 12, 12)).astype(np.float32)},
    "text": {"ids": RANDOM.integers(0, 50, (2, 13)), "mask": RANDOM.integers(0, 2, (2, 13))},
}
NODES = [
    ("image", "weight_off_by_a_thousandth", "Conv", "second"),
    ("image", "outputs_swapped", "Sigmoid", None),
    ("image", "wrong_epsilon_in_batch_norm", "Conv", "first"),
    ("image", "padding_off_by_one", "Conv", "second"),
    ("image", "padding_counted_in_the_average", "AveragePool", "pool"),
    ("image", "softmax_for_sigmoid", "Softmax", None),
    ("image", "slope_of_leaky_relu_lost", "LeakyRelu", "second"),
    ("image", "corners_aligned_in_resize", "Resize", "head"),
    ("image", "stale_initializer", "Gemm", "head"),
    ("image", "weights_in_half_precision", "Conv", "first"),
    ("image", "batch_axis_frozen", "Slice", "head"),
    ("image", "channels_reversed", "Conv", "first"),
    ("text", "approximate_gelu", "Mul", "narrow"),
    ("text", "wrong_epsilon_in_layer_norm", "LayerNormalization", "norm"),
    ("text", "mask_ignored", "Softmax", "wide"),
    ("text", "tokens_off_by_one", "Gather", "table"),
    ("text", "dropout_in_training_mode", "Dropout", "head"),
    ("text", "length_frozen", "Slice", "wide"),
]


@pytest.mark.parametrize(("name", "fault", "op_type", "layer"), NODES)
def test_the_first_wrong_node_and_layer_are_named(name, fault, op_type, layer):
    subject, honest = prepared(name)
    graph, feeds = planted(name, fault), FEEDS[name]
    expected = subject.converter.predict(subject.model, feeds)
    assert bisect(graph, feeds, node_taps(honest, feeds), expected).op_type == op_type
    layers = taps_from(subject.converter.layers(subject.model, feeds))
    assert bisect(graph, feeds, layers, expected).layer == layer


@pytest.mark.parametrize("name", FEEDS)
def test_there_is_nothing_to_find_in_an_honest_graph(name):
    subject, honest = prepared(name)
    expected = subject.converter.predict(subject.model, FEEDS[name])
    with pytest.raises(VerificationError, match="nothing to bisect"):
        bisect(honest, FEEDS[name], [], expected)


def test_a_fault_behind_a_saturated_output_is_located_on_the_case_that_shows_it():
    subject, _ = prepared("saturated")
    graph = planted("saturated", "weight_wrong_behind_a_saturated_output")
    case = failing_case(subject.judge(graph))
    number = next(file.number for file in subject.cases.cases if file.case == case)
    feeds = load_tensors(subject.folder / "feeds" / f"{number:03d}.npz")
    expected = subject.converter.predict(subject.model, feeds)
    finding = bisect(graph, feeds, taps_from(subject.converter.layers(subject.model, feeds)), expected)
    assert (finding.op_type, finding.layer) == ("Gemm", "hidden")


HARD = [
    ("saturated", "bias_wrong_behind_a_saturated_output", "Gemm", "head"),
    ("series", "wrong_epsilon_in_layer_norm", "Add", "norm"),
    ("series", "direction_lost", "Loop", "gru"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "fault", "op_type", "layer"), HARD)
def test_what_a_loop_reads_from_around_it_and_what_an_output_hides_are_located(name, fault, op_type, layer):
    subject, honest = prepared(name)
    graph = planted(name, fault)
    finding = subject.locate(graph, failing_case(subject.judge(graph)))
    assert (finding.op_type, finding.layer) == (op_type, layer)
    assert finding.node in changed_nodes(honest, graph)


def test_a_wrong_conversion_is_not_what_another_is_judged_by():
    subject, _ = prepared("image")
    graph, feeds = planted("image", "padding_off_by_one"), FEEDS["image"]
    expected = subject.converter.predict(subject.model, feeds)
    layers = taps_from(subject.converter.layers(subject.model, feeds))
    finding = located(graph, feeds, Inside(layers, node_taps(graph, feeds)), expected)
    by_layers = bisect(graph, feeds, layers, expected)
    assert (finding.node, finding.layer) == (by_layers.node, "second")


@pytest.mark.parametrize("fault", ["weight_off_by_a_thousandth", "padding_off_by_one"])
def test_the_reproducer_is_small_and_shows_the_difference_on_its_own(tmp_path, fault):
    subject, honest = prepared("image")
    graph, feeds = planted("image", fault), FEEDS["image"]
    expected = subject.converter.predict(subject.model, feeds)
    finding = bisect(graph, feeds, node_taps(honest, feeds), expected)
    issue = write(cut(graph, finding, feeds), finding, tmp_path, {"torch": "2.13"})
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 100_000
    done = subprocess.run(
        [sys.executable, "run.py"], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert "largest difference" in done.stdout
    assert float(done.stdout.split("largest difference ")[1].split()[0]) > 1e-5
    text = issue.read_text(encoding="utf-8")
    assert "Conv" in text
    assert "torch 2.13" in text
