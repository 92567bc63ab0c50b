"""Each kind of torch file, through load, describe, convert and predict."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tests.converters_torch.nets import Net, Tagger, seeded
from tests.converters_torch.running import NETS, Converted, convert, normal, request

IMAGES = "image:float32[batch,3,16,16]"
BUILDER = {"builder": f"{NETS}:net"}


def right_at_every_batch(converted: Converted) -> bool:
    return max(converted.error(image=normal(n, 3, 16, 16)) for n in (1, 2, 7)) < 1e-5


@pytest.fixture
def net() -> torch.nn.Module:
    return seeded(Net)


@pytest.fixture
def weights(net: torch.nn.Module, tmp_path: Path) -> Path:
    path = tmp_path / "net.pt"
    torch.save(net.state_dict(), path)
    return path


def traced(module: torch.nn.Module, *example: torch.Tensor) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        # BatchNorm in training checks the size of its batch.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return torch.jit.trace(module, example, check_trace=False)


def saved(module: torch.jit.ScriptModule, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(module, str(path))
    return path


def test_a_state_dict_converts_with_its_builder(weights: Path) -> None:
    converted = convert(None, request(weights, "state_dict", inputs=[IMAGES], options=BUILDER))
    assert right_at_every_batch(converted)
    assert converted.route == "dynamo"


def test_what_is_known_of_a_file_is_its_signature_and_versions(weights: Path) -> None:
    converted = convert(None, request(weights, "state_dict", inputs=[IMAGES], options=BUILDER))
    assert str(converted.description.signature.outputs[0]) == "output:float32[batch,5]"
    assert converted.description.versions["torch"] == torch.__version__


def test_safetensors_convert_with_their_builder(net: torch.nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save_file(net.state_dict(), path)
    converted = convert(None, request(path, "safetensors", inputs=[IMAGES], options=BUILDER))
    assert right_at_every_batch(converted)


def test_a_checkpoint_is_read_under_its_key_and_prefix(net: torch.nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    state = {f"module.{key}": value for key, value in net.state_dict().items()}
    torch.save({"epoch": 3, "model": {"state": {**state, "module.extra": torch.ones(1)}}}, path)
    options = {**BUILDER, "state_key": "model.state", "prefix": "module.", "drop": ["extra"]}
    converted = convert(None, request(path, "state_dict", inputs=[IMAGES], options=options))
    assert right_at_every_batch(converted)


def test_torchscript_converts_and_keeps_its_batch_dynamic(net: torch.nn.Module, tmp_path: Path) -> None:
    path = saved(traced(net, torch.randn(2, 3, 16, 16)), tmp_path / "net.pt")
    converted = convert(None, request(path, "torchscript", inputs=[IMAGES]))
    assert right_at_every_batch(converted)
    assert converted.route == "script"


def test_an_exported_program_needs_no_shapes(net: torch.nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    shapes = ({0: torch.export.Dim("rows", min=1, max=64)},)
    torch.export.save(torch.export.export(net, (torch.randn(2, 3, 16, 16),), dynamic_shapes=shapes), path)
    converted = convert(None, request(path, "pt2"))
    assert str(converted.description.signature.inputs[0]) == IMAGES
    assert right_at_every_batch(converted)


def test_a_pickled_module_converts_where_its_class_is_at_hand(net: torch.nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "whole.pt"
    torch.save(net, path)
    assert right_at_every_batch(convert(None, request(path, "module", inputs=[IMAGES])))


def test_a_hugging_face_folder_of_bert_needs_no_builder(tmp_path: Path) -> None:
    from converters.architectures.bert import bert
    from tests.architectures.configs import TINY_BERT, write_folder

    torch.manual_seed(1)
    folder = write_folder(tmp_path / "bert", bert(TINY_BERT), TINY_BERT)
    converted = convert(None, request(folder, "hf_folder"))
    ids = np.arange(12).reshape(2, 6) % 40
    error = converted.error(
        input_ids=ids, attention_mask=np.ones_like(ids), token_type_ids=np.zeros_like(ids)
    )
    assert error < 1e-5
    assert converted.description.domains[0].columns[0].high == 39


def test_a_live_module_takes_its_signature_from_a_sample_and_stays_in_training(tmp_path: Path) -> None:
    module = seeded(Net).train()
    sample = tmp_path / "sample.npz"
    np.savez(sample, image=normal(4, 3, 16, 16))
    converted = convert(module, request(sample=sample))
    assert str(converted.description.signature.inputs[0]) == IMAGES
    assert right_at_every_batch(converted)
    assert module.training
    assert module.norm.training


def test_a_recurrent_net_keeps_its_length_dynamic() -> None:
    converted = convert(seeded(Tagger), request(inputs=["steps:float32[batch,length,4]"]))
    errors = [converted.error(steps=normal(n, length, 4)) for n, length in ((1, 1), (2, 9), (3, 40))]
    assert max(errors) < 1e-5
    shape = converted.graph.graph.output[0].type.tensor_type.shape.dim
    assert [dim.dim_param or dim.dim_value for dim in shape] == ["batch", "length", 3]


@pytest.mark.parametrize("builder", ["near_net.py:make", "near_net:make"])
def test_a_builder_is_found_beside_its_weights(
    builder: str, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "near_net", None)
    monkeypatch.delitem(sys.modules, "near_net")
    (weights.parent / "near_net.py").write_text(f"from {NETS} import Net as make\n")
    converted = convert(None, request(weights, "state_dict", inputs=[IMAGES], options={"builder": builder}))
    assert converted.error(image=normal(2, 3, 16, 16)) < 1e-5
