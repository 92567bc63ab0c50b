from __future__ import annotations

import numpy as np
import pytest

from zoo.errors import VerificationError
from zoo.records import Signature, TensorSpec
from zoo.verification.matching import adapted_feeds, layout, match_inputs

TABLE = np.arange(6, dtype=np.float64).reshape(2, 3)


def spec(name, dtype="float32", shape=("n", 3)):
    return TensorSpec(name, dtype, shape)


def test_the_same_inputs_are_passed_on():
    given = adapted_feeds({"x": TABLE.astype(np.float32)}, [spec("x")])
    assert np.array_equal(given["x"], TABLE)


def test_float64_rows_are_cast_for_a_float32_graph_and_that_is_noted():
    assert adapted_feeds({"x": TABLE}, [spec("x")])["x"].dtype == np.float32
    matching = match_inputs(Signature((spec("x", "float64"),)), Signature((spec("x"),)))
    assert matching.notes == ("input 'x' was cast from float64 to float32",)


def test_another_name_is_matched_by_position():
    given = adapted_feeds({"a": TABLE, "b": TABLE + 1}, [spec("b"), spec("input_1")])
    assert np.array_equal(given["b"], TABLE + 1)
    assert np.array_equal(given["input_1"], TABLE)


def test_a_matrix_is_cut_into_columns():
    given = adapted_feeds({"x": TABLE}, [spec(name, shape=("n", 1)) for name in "abc"])
    assert given["b"].tolist() == [[1], [4]]


def test_columns_are_joined_to_a_matrix():
    columns = {name: TABLE[:, i : i + 1] for i, name in enumerate("abc")}
    assert np.array_equal(adapted_feeds(columns, [spec("x")])["x"], TABLE)


def test_images_are_transposed_only_when_the_channels_leave_no_doubt():
    first, last = spec("x", shape=("n", 3, 8, 9)), spec("x", shape=("n", 8, 9, 3))
    image = np.arange(2 * 3 * 8 * 9, dtype=np.float32).reshape(2, 3, 8, 9)
    assert np.array_equal(adapted_feeds({"x": image}, [last])["x"], image.transpose(0, 2, 3, 1))
    assert layout(last, first) == "NHWC→NCHW"
    assert layout(spec("x", shape=("n", 3, 3, 3)), spec("x", shape=("n", 3, 3, 3))) is None
    assert layout(spec("x", shape=("n", "a", "b", "c")), first) is None


def test_integers_that_the_graph_cannot_hold_are_refused():
    with pytest.raises(VerificationError, match="cannot hold"):
        adapted_feeds({"x": np.array([[2**40]])}, [spec("x", "int32", ("n", 1))])


def test_an_input_that_only_the_graph_has_gets_its_constant():
    fed = adapted_feeds({"x": TABLE}, [spec("a", shape=("n", 3)), spec("rate", "int64", ())], {"rate": 16000})
    assert fed["rate"].dtype == np.int64
    assert fed["rate"] == 16000
    assert np.array_equal(fed["a"], TABLE)
    with pytest.raises(VerificationError, match="no input 'sr'"):
        adapted_feeds({"x": TABLE}, [spec("x", shape=("n", 3))], {"sr": 1})


def test_inputs_that_fit_nowhere_are_listed():
    with pytest.raises(VerificationError, match=r"a:float32.*x:float64"):
        adapted_feeds({"x": TABLE, "z": TABLE}, [spec("a")])
