"""What cannot become ONNX is refused, with the reason and what to do."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.converters_torch.nets import Counter, FixedLength, FixedRows, Net, Restless, Text, seeded
from tests.converters_torch.running import NETS, convert, normal, request
from tests.converters_torch.test_kinds import saved, traced
from zoo.errors import MissingInputError, UnsupportedFileError, UnsupportedModelError, UsageError

IMAGES = "image:float32[batch,3,16,16]"
BUILDER = {"builder": f"{NETS}:net"}


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "net.pt"
    torch.save(seeded(Net).state_dict(), path)
    return path


def test_a_trace_made_in_training_is_refused(tmp_path: Path) -> None:
    trained = saved(traced(seeded(Net).train(), torch.randn(2, 3, 16, 16)), tmp_path / "trained.pt")
    with pytest.raises(UnsupportedModelError, match=r"training mode: batch_norm, dropout"):
        convert(None, request(trained, "torchscript", inputs=[IMAGES]))


def test_a_program_exported_in_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    shapes = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(seeded(Net).train(), (torch.randn(2, 3, 16, 16),), dynamic_shapes=shapes)
    torch.export.save(program, path)
    with pytest.raises(UnsupportedModelError, match="training mode"):
        convert(None, request(path, "pt2"))


def test_a_random_model_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="two answers"):
        convert(Restless(), request(inputs=["x:float32[batch,8]"]))


def test_a_model_that_remembers_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="two answers"):
        convert(Counter(), request(inputs=["x:float32[batch,8]"]))


def test_a_promised_axis_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match=r"runs only with batch=\d, length=7"):
        convert(FixedLength(), request(inputs=["x:float32[batch,length]"]))


def test_a_program_with_the_promised_axis_fixed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    torch.export.save(torch.export.export(seeded(Net), (torch.randn(2, 3, 16, 16),)), path)
    with pytest.raises(UnsupportedModelError, match=r"axis 0 of 'image' is promised .*fixed at 2"):
        convert(None, request(path, "pt2", inputs=[IMAGES]))


def test_a_frozen_axis_is_never_returned() -> None:
    from converters.torch_routes import Plan, export
    from converters.torch_study import Study, study

    model = _as_model(torch.nn.Linear(4, 3))
    honest = study(model, request(inputs=["input:float32[2,4]"]))
    known = honest.known
    promised = Study(
        type(known)(tuple(map(_promising, known.specs)), known.domains), honest.outputs, ({"batch": 2},), {}
    )
    with pytest.raises(UnsupportedModelError, match=r"came out frozen at 2"):
        export(Plan(_Frozen(model), promised))


def _promising(spec):
    return type(spec)(spec.name, spec.dtype, ("batch", *spec.shape[1:]))


def _as_model(module: torch.nn.Module):
    from converters.torch_model import TorchModel

    return TorchModel(module.eval())


def _Frozen(model):
    """The model as a program whose batch was fixed when it was exported."""
    from converters.torch_model import TorchModel

    program = torch.export.export(model.module, (torch.randn(2, 4),))
    return TorchModel(program.module(), program)


def test_a_sample_whose_batch_is_fixed_gives_a_fixed_batch(tmp_path: Path) -> None:
    sample = tmp_path / "sample.npy"
    np.save(sample, normal(2, 6))
    converted = convert(FixedRows(), request(sample=sample))
    assert str(converted.description.signature.inputs[0]) == "x:float32[2,6]"
    assert "batch size is fixed" in converted.description.notes[0]


def test_an_output_that_is_no_tensor_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="a str at name"):
        convert(Text(), request(inputs=["x:float32[batch,8]"]))


def test_a_model_that_fails_is_refused_with_its_own_words() -> None:
    with pytest.raises(UnsupportedModelError, match=r"expected .* to have 3 channels"):
        convert(seeded(Net), request(inputs=["image:float32[batch,4,16,16]"]))


def test_shapes_that_nobody_knows_are_asked_for() -> None:
    with pytest.raises(MissingInputError) as caught:
        convert(seeded(Net), request())
    assert "--input 'image:float32[batch,3,224,224]'" in str(caught.value.hint)


def test_weights_without_a_builder_ask_for_one(weights: Path) -> None:
    with pytest.raises(MissingInputError) as caught:
        convert(None, request(weights, "state_dict", inputs=[IMAGES]))
    assert "--builder module:callable" in str(caught.value.hint)


def test_weights_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    state = seeded(Net).state_dict()
    state["stray"] = state.pop("conv.bias")
    state["head.weight"] = torch.zeros(7, 8)
    path = tmp_path / "net.pt"
    torch.save(state, path)
    with pytest.raises(UnsupportedModelError) as caught:
        convert(None, request(path, "state_dict", inputs=[IMAGES], options=BUILDER))
    text = caught.value.message
    assert "missing in the file (1): conv.bias" in text
    assert "unknown to the module (1): stray" in text
    assert "head.weight is [7, 8] in the file, [5, 8] in the module" in text


def test_an_unknown_state_key_names_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"epoch": 1, "weights": seeded(Net).state_dict()}, path)
    with pytest.raises(UnsupportedModelError, match=r"no 'model'; it has keys 'epoch', 'weights'"):
        convert(None, request(path, "state_dict", options={**BUILDER, "state_key": "model"}))


def test_a_nested_checkpoint_asks_for_its_key(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    torch.save({"epoch": 1, "weights": seeded(Net).state_dict()}, path)
    with pytest.raises(UnsupportedModelError) as caught:
        convert(None, request(path, "state_dict", options=BUILDER))
    assert "state_key=NAME" in str(caught.value.hint)


SCRIPT = """
import torch
class Local(torch.nn.Module):
    def forward(self, x):
        return x + 1
if __name__ == "__main__":
    torch.save(Local(), {path!r})
"""


@pytest.fixture
def pickled(tmp_path: Path) -> tuple[Path, Path]:
    """A module of a class in ``__main__`` of a script, and the script."""
    path, script = tmp_path / "local.pt", tmp_path / "net_script.py"
    script.write_text(SCRIPT.format(path=str(path)))
    subprocess.run([sys.executable, str(script)], check=True)
    return path, script


def test_a_pickled_module_without_its_class_says_how_to_give_it(pickled: tuple[Path, Path]) -> None:
    with pytest.raises(UnsupportedModelError, match="'Local'") as caught:
        convert(None, request(pickled[0], "module", inputs=["x:float32[batch,3]"]))
    assert "--option classes=net.py" in str(caught.value.hint)


def test_a_pickled_module_finds_its_class_in_the_file_given(
    pickled: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, script = pickled
    monkeypatch.setitem(sys.modules, "net_script", None)
    monkeypatch.delitem(sys.modules, "net_script")
    asked = request(path, "module", inputs=["x:float32[batch,3]"], options={"classes": str(script)})
    try:
        assert convert(None, asked).error(x=normal(2, 3)) == 0
    finally:
        vars(sys.modules["__main__"]).pop("Local")


def test_a_whole_module_is_not_read_as_weights(tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(seeded(Net), path)
    with pytest.raises(UnsupportedModelError, match="more than weights"):
        convert(None, request(path, "state_dict", options=BUILDER))


@pytest.mark.parametrize("kind", ["pt2", "torchscript", "state_dict", "safetensors", "module"])
def test_a_damaged_file_is_named(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "damaged.pt"
    path.write_bytes(b"PK\x03\x04 but no archive")
    with pytest.raises((UnsupportedFileError, UnsupportedModelError), match=r"damaged\.pt"):
        convert(None, request(path, kind, options=BUILDER))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"builder": "net"}, "is not module:callable"),
        ({"builder": "no_such_module_here:net"}, "cannot import"),
        ({"builder": f"{NETS}:absent"}, "no callable 'absent'"),
        ({**BUILDER, "builder_kwargs": {"colour": 3}}, "refuses"),
        ({"builder": f"{NETS}:spec"}, "no callable"),
        ({**BUILDER, "submodule": "tail"}, "no submodule 'tail'"),
    ],
)
def test_a_wrong_builder_is_the_callers_mistake(weights: Path, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        convert(None, request(weights, "state_dict", inputs=[IMAGES], options=options))


def test_an_opset_that_no_route_reaches_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="no route to ONNX"):
        convert(seeded(Net), request(inputs=[IMAGES], opset=99))


def test_a_scripted_module_without_forward_is_refused(tmp_path: Path) -> None:
    class Stored(torch.nn.Module):
        @torch.jit.export
        def encode(self, x: torch.Tensor) -> torch.Tensor:
            return x + 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        path = saved(torch.jit.script(Stored()), tmp_path / "stored.pt")
    with pytest.raises(UnsupportedModelError, match=r"scripted Stored without forward"):
        convert(None, request(path, "torchscript", inputs=["x:float32[batch,3]"]))


def test_a_live_object_that_is_no_module_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="not a torch module"):
        convert({"weights": 1}, request(inputs=[IMAGES]))
