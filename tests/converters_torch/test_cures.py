"""What the exporters get wrong, and our cure: each test fails without it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.converters_torch.nets import (
    Branch,
    Embedder,
    Formula,
    Half,
    LogSigmoid,
    Nested,
    Net,
    ScatterMean,
    Tagger,
    WriteThroughView,
    seeded,
)
from tests.converters_torch.running import convert, normal, request
from tests.converters_torch.test_kinds import saved, traced
from zoo.errors import UnsupportedModelError

IMAGES = "image:float32[batch,3,16,16]"


def test_dropout_of_a_module_in_training_is_not_exported() -> None:
    module = seeded(Net).train()
    converted = convert(module, request(inputs=[IMAGES]))
    operators = {node.op_type for node in converted.graph.graph.node}
    assert "Dropout" not in operators
    assert converted.error(image=normal(3, 3, 16, 16)) < 1e-5


def test_the_weights_are_in_the_file_itself() -> None:
    graph = convert(seeded(Net), request(inputs=[IMAGES])).graph
    assert len(graph.graph.initializer) > 3
    assert not any(tensor.external_data for tensor in graph.graph.initializer)


def test_no_path_of_the_machine_is_in_the_file() -> None:
    graph = convert(seeded(Net), request(inputs=[IMAGES])).graph
    content = graph.SerializeToString()
    assert b"pkg.torch" not in content
    assert b".py" not in content
    assert [p.key for p in graph.metadata_props] == ["zoo.route"]


@pytest.mark.parametrize(("opset", "route"), [(None, "dynamo"), (17, "trace"), (20, "dynamo")])
def test_the_opset_is_the_one_asked_for(opset: int | None, route: str) -> None:
    converted = convert(seeded(Net), request(inputs=[IMAGES], opset=opset))
    assert (converted.opset, converted.route) == (opset or 18, route)
    assert converted.graph.ir_version <= 10
    assert converted.error(image=normal(3, 3, 16, 16)) < 1e-5


def test_log_sigmoid_stays_finite_far_below_zero() -> None:
    for route in ("dynamo", "trace"):
        options = {"route": route}
        converted = convert(LogSigmoid(), request(inputs=["x:float32[batch,4]"], options=options))
        extreme = np.array([[-100, -20, 0, 90]], dtype=np.float32)
        assert converted.error(x=extreme) < 1e-5


@pytest.mark.parametrize("route", ["dynamo", "trace"])
@pytest.mark.parametrize(
    "activation", [torch.nn.ELU(2.0), torch.nn.SELU(), torch.nn.CELU(0.3)], ids=lambda module: str(module)
)
def test_an_exponential_less_one_keeps_its_digits_near_zero(activation, route) -> None:
    converted = convert(activation, request(inputs=["x:float32[batch,4]"], options={"route": route}))
    beside = np.array([[-1e-4, -3e-7, 5e-4, 0], [-1, -90, 4, -np.inf]], dtype=np.float32)
    got, expected = converted.got(x=beside), converted.expected(x=beside)
    np.testing.assert_allclose(got["output"], expected["output"], rtol=1e-6)


@pytest.mark.parametrize("function", [torch.expm1, torch.log1p], ids=["expm1", "log1p"])
def test_what_is_near_zero_keeps_its_digits(function) -> None:
    converted = convert(Formula(function), request(inputs=["x:float32[batch,4]"]))
    values = np.array([[-0.5, -5e-4, 3e-9, 0], [0.75, 80, -1, np.inf]], dtype=np.float32)
    got, expected = converted.got(x=values), converted.expected(x=values)
    np.testing.assert_allclose(got["output"], expected["output"], rtol=1e-6)


def test_the_sum_of_two_exponentials_has_a_logarithm_far_from_zero() -> None:
    module = Formula(lambda x: torch.logaddexp(x, -x))
    converted = convert(module, request(inputs=["x:float32[batch,4]"]))
    assert converted.error(x=np.array([[-200, 0, 95, 3e38]], dtype=np.float32)) < 1e-4


@pytest.mark.parametrize("keepdim", [False, True])
def test_a_median_and_a_kth_value_are_converted(keepdim: bool) -> None:
    module = Formula(lambda x: (*x.median(1, keepdim), x.kthvalue(3, -1, keepdim)[0]))
    converted = convert(module, request(inputs=["x:float32[batch,n,4]"]))
    assert max(converted.error(x=normal(2, n, 4)) for n in (5, 6)) == 0


def test_an_input_that_is_returned_keeps_its_name() -> None:
    module = Formula(lambda x: (x.sin(), x))
    converted = convert(module, request(inputs=["x:float32[batch,4]"], options={"route": "dynamo"}))
    assert converted.error(x=normal(3, 4)) < 1e-6


def test_a_decision_over_the_data_that_no_route_keeps_is_refused_with_its_line() -> None:
    module = Formula(lambda x: x * 2 if x.sum() > 0 else x - 1)
    with pytest.raises(UnsupportedModelError, match=r"line \d+ of test_cures.py"):
        convert(module, request(inputs=["x:float32[batch,4]"]))


def test_the_exporters_say_nothing_when_they_fail(capfd) -> None:
    with pytest.raises(UnsupportedModelError):
        convert(Formula(torch.histc), request(inputs=["x:float32[batch,4]"]))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("include_self", [False, True])
def test_the_mean_of_a_scatter_is_a_mean(include_self: bool) -> None:
    inputs = ["x:float32[batch,5]", "index:int64[batch,4]", "source:float32[batch,4]"]
    options = {"feeds": {"index": {"low": 0, "high": 4}}}
    module = ScatterMean(include_self)
    converted = convert(module, request(inputs=inputs, options=options))
    index = np.array([[0, 0, 2, 4], [1, 1, 1, 1], [4, 3, 2, 1]])
    assert converted.error(x=normal(3, 5), index=index, source=normal(3, 4, seed=5)) < 1e-6
    assert converted.description.domains[1].columns[0].high == 4


def test_writes_through_views_are_kept_in_a_module() -> None:
    converted = convert(WriteThroughView(), request(inputs=["x:float32[batch,4]"]))
    assert max(converted.error(x=normal(n, 4)) for n in (1, 2, 5)) < 1e-6


def test_writes_through_views_are_kept_in_a_trace(tmp_path) -> None:
    path = saved(traced(WriteThroughView(), torch.randn(2, 4)), tmp_path / "views.pt")
    converted = convert(None, request(path, "torchscript", inputs=["x:float32[batch,4]"]))
    assert converted.route == "ts2ep"
    assert max(converted.error(x=normal(n, 4)) for n in (1, 2, 5)) < 1e-6


def test_a_branch_on_the_data_keeps_both_sides() -> None:
    converted = convert(Branch(), request(inputs=["x:float32[batch,3]"]))
    assert converted.route == "script"
    assert converted.error(x=np.full((2, 3), 4, np.float32)) == 0
    assert converted.error(x=np.full((2, 3), -4, np.float32)) == 0


def test_a_scripted_branch_keeps_both_sides(tmp_path) -> None:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(Branch())
    path = saved(scripted, tmp_path / "branch.pt")
    converted = convert(None, request(path, "torchscript", inputs=["x:float32[batch,3]"]))
    assert converted.error(x=np.full((2, 3), -4, np.float32)) == 0


def test_every_route_that_returns_a_length_keeps_it_dynamic() -> None:
    for route in ("trace", "script"):
        asked = request(inputs=["steps:float32[batch,length,4]"], options={"route": route})
        converted = convert(seeded(Tagger), asked)
        assert converted.error(steps=normal(3, 11, 4)) < 1e-5


def test_outputs_have_names_whatever_they_are_nested_in() -> None:
    inputs = ["x:float32[batch,3]", "ids:int64[batch,3]"]
    converted = convert(Nested(), request(inputs=inputs))
    names = [output.name for output in converted.graph.graph.output]
    assert names == ["pair_total", "pair_parts_0", "pair_parts_1", "same", "large"]
    assert converted.error(x=normal(2, 3), ids=np.array([[0, 1, 2], [3, 0, 1]])) == 0


def test_an_input_that_nothing_reads_stays_an_input() -> None:
    class Ignoring(torch.nn.Module):
        def forward(self, x, unused):
            return x + 1

    converted = convert(Ignoring(), request(inputs=["x:float32[batch,3]", "unused:int64[batch]"]))
    assert [value.name for value in converted.graph.graph.input] == ["x", "unused"]


def test_token_ids_are_bounded_by_their_table() -> None:
    asked = request(inputs=["ids:int64[batch,length]", "mask:float32[batch,length]"])
    converted = convert(seeded(Embedder), asked)
    assert converted.description.domains[0].columns[0].high == 49
    ids = np.arange(30).reshape(3, 10)
    assert converted.error(ids=ids, mask=np.ones((3, 10), np.float32)) < 1e-5


def test_inputs_may_be_given_in_any_order() -> None:
    asked = request(inputs=["mask:float32[batch,length]", "ids:int64[batch,length]"])
    converted = convert(seeded(Embedder), asked)
    assert [value.name for value in converted.graph.graph.input] == ["ids", "mask"]


def test_float16_computes_and_answers_in_float16() -> None:
    converted = convert(seeded(Half), request(inputs=["x:float16[batch,4]"]))
    answer = converted.got(x=normal(3, 4).astype(np.float16))["output"]
    assert answer.dtype == np.float16
    assert converted.error(x=normal(3, 4).astype(np.float16)) < 2e-3


def test_bfloat16_is_answered_as_float32() -> None:
    from converters.from_torch import TorchConverter

    answer = TorchConverter().predict(seeded(Half, dtype="bfloat16"), {"x": normal(3, 4)})
    assert answer["output"].dtype == np.float32
