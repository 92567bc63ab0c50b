from __future__ import annotations

import numpy as np
import pytest

from zoo.records import ColumnDomain, Domain, Signature, SourceDescription, TensorSpec
from zoo.tensors import load_tensors
from zoo.verification.noise import REPEATS_ON_THE_LINE, NoiseMeter
from zoo.verification.tolerances import noise_level


def described(*columns, dtype="float32"):
    spec = TensorSpec("x", dtype, ("n", 3))
    return SourceDescription(Signature((spec,)), domains=(Domain(columns or (ColumnDomain(),)),))


class Single:
    """Computes y = x·w in float32, and in float64 where asked."""

    weights = np.linspace(0.1, 0.7, 3)

    def predict(self, model, feeds):
        return {"y": feeds["x"].astype(np.float32) @ self.weights.astype(np.float32)}


class Double(Single):
    def predict_precise(self, model, feeds):
        return {"y": feeds["x"].astype(np.float64) @ self.weights}


class Remembering(Single):
    def __init__(self):
        self.seen = []

    def predict(self, model, feeds):
        self.seen.append(feeds["x"].copy())
        return super().predict(model, feeds)


X = {"x": np.random.default_rng(0).standard_normal((500, 3)).astype(np.float32)}


@pytest.mark.parametrize("converter", [Single(), Double()])
def test_both_measurements_find_noise_of_the_size_of_float32_rounding(converter):
    answer = converter.predict(None, X)
    noise = NoiseMeter(converter, None, described()).noise(X, answer)
    assert 1e-8 < noise_level(noise["y"], float(np.abs(answer["y"]).max())) < 3e-7


class Cancelling(Double):
    """A normalisation, (y - mean) / sqrt(var + 1e-6): its answer to zeros is exact, for all cancels there."""

    bias = np.float32(0.3)

    def predict(self, model, feeds):
        return {"y": self._normalised(feeds["x"].astype(np.float32) * self.weights.astype(np.float32))}

    def predict_precise(self, model, feeds):
        return {"y": self._normalised(feeds["x"].astype(np.float64) * self.weights.astype(np.float32))}

    def _normalised(self, x):
        y = x + self.bias
        centred = y - y.mean(axis=1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + x.dtype.type(1e-6))


def test_of_zeros_where_all_cancels_the_noise_is_that_of_rows_beside_them():
    converter, zeros = Cancelling(), {"x": np.zeros((4, 3), np.float32)}
    answer = converter.predict(None, zeros)
    assert np.array_equal(answer["y"], converter.predict_precise(None, zeros)["y"])
    noise = NoiseMeter(converter, None, described()).noise(zeros, answer)["y"]
    assert 1e-6 < noise.max() < 1e-3


def test_float64_is_used_where_the_converter_offers_it():
    assert NoiseMeter(Double(), None, described()).method == "float64"
    assert NoiseMeter(Single(), None, described()).method == "perturbation"


def test_every_element_moves_to_a_neighbour_and_zeros_stay():
    converter = Remembering()
    feeds = {"x": X["x"].copy()}
    feeds["x"][0] = 0
    NoiseMeter(converter, None, described()).noise(feeds, converter.predict(None, feeds))
    moved = converter.seen[1]
    assert np.array_equal(moved[0], [0, 0, 0])
    large = np.abs(feeds["x"]) >= 1
    apart = np.abs(moved.view(np.int32) - feeds["x"].view(np.int32))
    assert set(apart[large]) == {1}
    assert np.all(apart[1:] >= 1)


def test_indices_that_the_source_itself_changes_are_marked():
    class Choosing(Single):
        def predict(self, model, feeds):
            return {"index": feeds["x"].argmax(axis=1)}

    feeds = {"x": np.array([[1, 1, 0], [5, 1, 0]], np.float32)}
    converter = Choosing()
    noise = NoiseMeter(converter, None, described()).noise(feeds, converter.predict(None, feeds))
    assert noise["index"].tolist() in ([1, 0], [0, 0])


def test_a_row_in_which_something_jumps_is_unsteady_as_a_whole():
    class Sorting(Single):
        def predict(self, model, feeds):
            rows = feeds["x"].copy()
            rows[0, 0] = 0.0 if len(self.calls) == 0 else 50.0
            self.calls.append(1)
            return {"y": rows}

    converter = Sorting()
    converter.calls = []
    answer = converter.predict(None, X)
    noise = NoiseMeter(converter, None, described()).noise(X, answer)["y"]
    assert noise[0].tolist() == [50, 50, 50]
    assert noise[1:].max() < 1e-6


def test_where_all_is_zero_everything_moves_a_little():
    converter = Remembering()
    feeds = {"x": np.zeros((50, 3), np.float32)}
    NoiseMeter(converter, None, described()).noise(feeds, converter.predict(None, feeds))
    assert np.all(converter.seen[1] != 0)
    assert np.abs(converter.seen[1]).max() < 1e-9


def test_nothing_is_moved_out_of_the_known_range():
    converter = Remembering()
    feeds = {"x": np.ones((200, 3), np.float32)}
    NoiseMeter(converter, None, described(ColumnDomain(0.0, 1.0))).noise(
        feeds, converter.predict(None, feeds)
    )
    assert converter.seen[1].max() == 1
    assert converter.seen[1].min() < 1


def test_whole_numbers_and_categories_are_never_moved():
    converter = Remembering()
    columns = (ColumnDomain(), ColumnDomain(integral=True), ColumnDomain(categories=(1.0, 2.0)))
    NoiseMeter(converter, None, described(*columns)).noise(X, converter.predict(None, X))
    assert not np.array_equal(converter.seen[1][:, 0], X["x"][:, 0])
    assert np.array_equal(converter.seen[1][:, 1:], X["x"][:, 1:])


def test_float64_inputs_move_by_what_float32_would_lose():
    converter = Remembering()
    feeds = {"x": X["x"].astype(np.float64)}
    NoiseMeter(converter, None, described(dtype="float64")).noise(feeds, converter.predict(None, feeds))
    step = np.abs(converter.seen[1] - feeds["x"]) / np.maximum(np.abs(feeds["x"]), 1)
    assert step.min() > 2.0**-25
    assert step.max() < 2.0**-22


def test_small_elements_move_by_a_rounding_of_the_range():
    converter = Remembering()
    feeds = {"x": X["x"] * np.float32(1e-3)}
    NoiseMeter(converter, None, described(ColumnDomain(-100.0, 100.0))).noise(feeds, {"y": feeds["x"]})
    step = np.abs(converter.seen[0] - feeds["x"])
    assert step.min() > 100 * 2.0**-25
    assert step.max() < 100 * 2.0**-23


def test_a_model_whose_answers_jump_has_no_measured_noise(tmp_path):
    meter = NoiseMeter(Single(), None, described(ColumnDomain(values=(0.5,))))
    assert meter.noise(X, {}) is None
    meter.write(tmp_path, "000.npz", X, {})
    assert list(tmp_path.iterdir()) == []


class Voting(Single):
    """How many columns are above 0.25, beside a smooth answer."""

    def predict(self, model, feeds):
        x = feeds["x"].astype(np.float32)
        return {"y": np.column_stack([(x > np.float32(0.25)).sum(axis=1), x @ self.weights])}


def test_a_vote_that_turns_is_told_from_noise_and_takes_its_row_along():
    feeds = {"x": X["x"].copy()}
    feeds["x"][:40, 1] = np.nextafter(np.float32(0.25), np.float32(1))
    meter = NoiseMeter(Voting(), None, described())
    noise = meter.noise(feeds, Voting().predict(None, feeds), REPEATS_ON_THE_LINE)["y"]
    assert np.all(noise[:40] == -1)
    assert np.all(noise[40:] >= 0)
    assert 1e-8 < noise[40:, 1].max() < 3e-6


def test_rows_of_much_smooth_noise_are_no_jumps():
    class Steep(Single):
        def predict(self, model, feeds):
            x = feeds["x"].astype(np.float64)
            return {"y": (x @ self.weights) * np.where(np.arange(len(x)) < 40, 1e6, 1.0)}

    meter = NoiseMeter(Steep(), None, described())
    noise = meter.noise(X, Steep().predict(None, X), REPEATS_ON_THE_LINE)["y"]
    assert np.mean(noise[:40] > 0.01) > 0.9
    assert np.mean(noise < 0) < 0.02


@pytest.mark.parametrize(("inner", "arithmetic"), [(np.float32, "float32"), (np.float64, None)])
def test_float64_answers_that_were_computed_in_float32_are_found(tmp_path, inner, arithmetic):
    class Wide(Single):
        def predict(self, model, feeds):
            x = feeds["x"] if feeds["x"].dtype == np.float64 else feeds["x"].astype(inner)
            return {"y": (x @ self.weights.astype(x.dtype)).astype(np.float64)}

    meter = NoiseMeter(Wide(), None, described())
    meter.write(tmp_path, "000.npz", X, Wide().predict(None, X))
    assert meter.arithmetic == arithmetic
    assert (tmp_path / "noise" / "arithmetic").is_file() == (arithmetic is not None)


def test_a_source_that_takes_nothing_but_float32_is_asked_no_more(tmp_path):
    class Narrow(Single):
        def predict(self, model, feeds):
            if feeds["x"].dtype != np.float32:
                raise TypeError("float32 expected")
            return {"y": super().predict(model, feeds)["y"].astype(np.float64)}

    meter = NoiseMeter(Narrow(), None, described())
    assert meter.noise(X, Narrow().predict(None, X)) is not None
    assert meter.arithmetic is None


def test_what_is_written_is_what_was_measured(tmp_path):
    converter = Double()
    answer = converter.predict(None, X)
    meter = NoiseMeter(converter, None, described())
    meter.write(tmp_path, "003.npz", X, answer)
    assert np.array_equal(load_tensors(tmp_path / "noise" / "003.npz")["y"], meter.noise(X, answer)["y"])
    assert (tmp_path / "noise" / "method").read_text() == "float64"


def test_the_usual_noise_is_not_that_of_the_few_elements_that_jump():
    values = np.full(1000, 1e-7)
    values[:5] = 1.0
    assert noise_level(values, 1.0) == pytest.approx(1e-7)


def test_jumps_that_are_known_are_no_part_of_the_usual_noise():
    values = np.full(1000, 1e-7)
    values[:500] = -1.0
    assert noise_level(values, 1.0) == pytest.approx(1e-7)
