"""Files of Keras 2, and code that hides in a Keras file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from converters.tensorflow_runtime import quiet
from tests.converters_tensorflow.conversions import convert
from tests.converters_tensorflow.test_keras import attention
from zoo.errors import MissingPackageError, UnsafeFileError, UnsupportedFileError


def as_keras_2(path: Path, class_name: str, option: str, value: Any) -> Path:
    """Write into an .h5 what Keras 2 writes there: its version, and an option that Keras 3 does not know."""
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == class_name:
                layer["config"][option] = value
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
    return path


@pytest.mark.parametrize("layer", ["DepthwiseConv2D", "Conv2DTranspose"])
def test_an_option_of_keras_2_at_its_default_is_passed_over(layer, keras, saved, converter):
    arguments = (3,) if layer == "DepthwiseConv2D" else (4, 3)
    model = keras.Sequential([keras.Input((8, 8, 2)), getattr(keras.layers, layer)(*arguments)])
    path = as_keras_2(saved(model, "m.h5"), layer, "groups", 1)

    assert convert(converter, path, "h5").difference(3) < 1e-6


def test_an_option_of_keras_2_that_changes_the_layer_is_not_passed_over(keras, saved, converter, monkeypatch):
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    model = keras.Sequential([keras.Input((8, 8, 2)), keras.layers.DepthwiseConv2D(3)])
    path = as_keras_2(saved(model, "m.h5"), "DepthwiseConv2D", "groups", 2)

    with pytest.raises(MissingPackageError, match="written by Keras 2") as caught:
        convert(converter, path, "h5")

    assert "pip install --no-deps tf_keras" in caught.value.hint


@pytest.mark.parametrize("name", ["m.h5", "m.keras"])
def test_a_lambda_layer_is_refused_before_its_code_runs(name, keras, saved, converter, tmp_path):
    marker = tmp_path / "ran"
    text = str(marker)
    spring = keras.layers.Lambda(lambda x: (open(text, "w").close(), x)[1], output_shape=(4,))  # noqa: PTH123
    path = saved(keras.Sequential([keras.Input((4,)), spring]), name)
    marker.unlink(missing_ok=True)

    with pytest.raises(UnsafeFileError, match="Lambda layer"):
        convert(converter, path, name.removeprefix("m."))

    assert not marker.exists()


def test_a_saved_model_with_the_slots_of_keras_2s_optimiser_is_loaded(tf, keras, exported, converter):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    path = exported(model)
    add_slots(path / "saved_model.pb")

    conversion = convert(converter, path, "saved_model")

    feeds = conversion.feeds(2)
    expected = np.asarray(model(next(iter(feeds.values()))))
    np.testing.assert_allclose(conversion.session.run(None, feeds)[0], expected, atol=1e-6)


def add_slots(path: Path) -> None:
    """Keras 2 saves the moments of its optimiser as slots of an object of a class that it registers."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    proto = SavedModel.FromString(path.read_bytes())
    nodes = proto.meta_graphs[0].object_graph_def.nodes
    variable = next(i for i, node in enumerate(nodes) if node.HasField("variable"))
    moment, optimiser = nodes.add(), nodes.add()
    moment.variable.CopyFrom(nodes[variable].variable)
    optimiser.user_object.identifier = "optimizer"
    optimiser.user_object.version.producer = 1
    optimiser.slot_variables.add(
        original_variable_node_id=variable, slot_name="m", slot_variable_node_id=len(nodes) - 2
    )
    nodes[0].children.add(node_id=len(nodes) - 1, local_name="optimizer")
    path.write_bytes(proto.SerializeToString())


@pytest.mark.parametrize(("kind", "name"), [("h5", "m.h5"), ("keras", "m.keras")])
def test_a_file_that_only_keras_2_reads_goes_through_tf_keras(kind, name, tf, tmp_path, converter):
    with quiet():
        tf_keras = pytest.importorskip("tf_keras", reason="pip install --no-deps tf_keras")
        layers = tf_keras.layers
        gru = layers.Bidirectional(layers.GRU(5))
        model = tf_keras.Sequential([layers.Masking(input_shape=(None, 4)), gru, layers.Dense(2)])
        model.save(tmp_path / name)

    conversion = convert(converter, tmp_path / name, kind)

    assert "tf_keras" in conversion.description.versions
    assert max(conversion.difference(batch, length) for batch, length in ((2, 2), (3, 7))) < 1e-6


def test_attention_that_keras_cannot_read_back_from_hdf5_is_refused_with_the_way_out(keras, saved, converter):
    """Keras 3 writes such a layer into an .h5 and fails on its own file."""
    path = saved(attention(keras), "m.h5")

    with pytest.raises(UnsupportedFileError) as caught:
        convert(converter, path, "h5")

    assert "save the model as .keras" in caught.value.hint
