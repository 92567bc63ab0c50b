"""Folders of the Hugging Face hub: the class of config.json, in an environment with transformers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import zoo
from zoo.errors import MissingPackageError

if TYPE_CHECKING:
    from zoo.environments import Environment

MAKE = """
import sys, torch, transformers as t
torch.manual_seed(0)
small = dict(vocab_size=50)
models = {
    "gpt2": lambda: t.GPT2LMHeadModel(t.GPT2Config(n_embd=16, n_layer=1, n_head=2, n_positions=32, **small)),
    "t5": lambda: t.T5ForConditionalGeneration(
        t.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, decoder_start_token_id=0, **small)
    ),
    "vit": lambda: t.ViTForImageClassification(
        t.ViTConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32,
                    image_size=16, patch_size=8)
    ),
}
for name in ("gpt2", "t5", "vit"):
    models[name]().save_pretrained(sys.argv[1] + "/" + name)
"""

INPUTS = {
    "gpt2": ["input_ids", "attention_mask"],
    "t5": ["input_ids", "attention_mask", "decoder_input_ids"],
    "vit": ["pixel_values"],
}

pytestmark = [pytest.mark.network, pytest.mark.slow]


@pytest.fixture
def folders(environment: Callable[[str], Environment], tmp_path: Path) -> Path:
    """Folders of small models with random weights, made by transformers."""
    python = environment("transformers").interpreter
    subprocess.run([str(python), "-c", MAKE, str(tmp_path)], check=True, capture_output=True)
    return tmp_path


def test_folders_convert_with_the_inputs_that_their_configuration_tells(folders: Path) -> None:
    found = zoo.convert_all([folders / name for name in INPUTS], folders)
    for conversion in found:
        assert conversion.model is not None, conversion.error
        report = conversion.model.report
        assert report is not None
        assert report.passed
        assert report.environment is not None
        assert report.environment.name == "transformers"
        names = [spec.name for spec in conversion.model.model.signature.inputs]
        assert names == INPUTS[conversion.path.name]


def test_offline_without_the_environment_says_which_one_is_missing(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ZOO_CACHE_LAYERS")
    with pytest.raises(MissingPackageError, match="'transformers' is not built") as raised:
        zoo.convert(folders / "vit", folders / "vit.onnx", offline=True)
    assert "zoo env build transformers" in str(raised.value.hint)
