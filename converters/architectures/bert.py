"""BERT encoders, keys as Hugging Face's ``BertModel`` saves them; with pooling, a sentence encoder.

https://arxiv.org/abs/1810.04805. Sizes come from the ``config.json`` beside the weights. Pooling is
that of sentence-transformers (https://arxiv.org/abs/1908.10084).
"""

from __future__ import annotations

import math
from typing import Any, Callable, Mapping, Optional

import torch
from torch import nn
from torch.nn import functional

from zoo.errors import UnsupportedModelError
from zoo.records import TensorSpec

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_pytorch_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "relu": functional.relu,
    "silu": functional.silu,
}


def bert(config: Mapping[str, Any], pooling: Optional[str] = None, normalize: bool = False) -> nn.Module:
    """An encoder of int64 ``input_ids``, ``attention_mask`` and ``token_type_ids`` [batch, sequence].

    → ``last_hidden_state`` [batch, sequence, width] and ``pooler_output`` [batch, width]; with
    `pooling` ``"mean"`` or ``"cls"``, ``sentence_embedding`` [batch, width], of length one if
    `normalize`. Raises `UnsupportedModelError` for a configuration that is another architecture.
    """
    return Bert(config, pooling, normalize)


def sentence_encoder(config: Mapping[str, Any], normalize: bool = True) -> nn.Module:
    """`bert` with mean pooling: the all-MiniLM and multi-qa families."""
    return Bert(config, "mean", normalize)


class Bert(nn.Module):
    """Embeddings, encoder, and the pooler that the checkpoint holds."""

    # Saved by transformers < 4.31; the positions are counted, not stored.
    zoo_ignored_weights = ("embeddings.position_ids",)

    def __init__(self, config: Mapping[str, Any], pooling: Optional[str], normalize: bool) -> None:
        super().__init__()
        _refuse_others(config, pooling)
        self.zoo_inputs = tuple(
            TensorSpec(name, "int64", ("batch", "sequence"))
            for name in ("input_ids", "attention_mask", "token_type_ids")
        )
        self.zoo_feeds = {"attention_mask": {"low": 0, "high": 1}}
        self.pooling = pooling
        self.normalize = normalize
        self.embeddings = _Embeddings(config)
        self.encoder = nn.ModuleDict(
            {"layer": nn.ModuleList(_Layer(config) for _ in range(config["num_hidden_layers"]))}
        )
        self.pooler = nn.ModuleDict({"dense": nn.Linear(config["hidden_size"], config["hidden_size"])})

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        x = self.embeddings(input_ids, token_type_ids)
        bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for layer in self.encoder["layer"]:
            x = layer(x, bias)
        if self.pooling is None:
            return {"last_hidden_state": x, "pooler_output": torch.tanh(self.pooler["dense"](x[:, 0]))}
        sentence = x[:, 0] if self.pooling == "cls" else _mean(x, attention_mask)
        return {"sentence_embedding": functional.normalize(sentence) if self.normalize else sentence}


class _Embeddings(nn.Module):
    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width = config["hidden_size"]
        self.word_embeddings = nn.Embedding(config["vocab_size"], width)
        self.position_embeddings = nn.Embedding(config["max_position_embeddings"], width)
        self.token_type_embeddings = nn.Embedding(config["type_vocab_size"], width)
        self.LayerNorm = nn.LayerNorm(width, config["layer_norm_eps"])

    def forward(self, ids: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        positions = self.position_embeddings.weight[: ids.shape[1]]
        x = self.word_embeddings(ids) + self.token_type_embeddings(types) + positions
        normalised: torch.Tensor = self.LayerNorm(x)
        return normalised


class _Layer(nn.Module):
    """Attention and a feed-forward network, each added to its input and normalised."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        width, inner = config["hidden_size"], config["intermediate_size"]
        self.heads = config["num_attention_heads"]
        self.activation = _ACTIVATIONS[config["hidden_act"]]
        parts = {name: nn.Linear(width, width) for name in ("query", "key", "value")}
        self.attention = nn.ModuleDict({"self": nn.ModuleDict(parts), "output": _added(width, width, config)})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, inner)})
        self.output = _added(inner, width, config)

    def forward(self, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        query, key = self._projected("query", x), self._projected("key", x)
        scores: torch.Tensor = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + bias
        mixed = (scores.softmax(-1) @ self._projected("value", x)).transpose(1, 2).flatten(2)
        x = _add(self.attention["output"], mixed, x)
        return _add(self.output, self.activation(self.intermediate["dense"](x)), x)

    def _projected(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """[batch, sequence, width] → [batch, heads, sequence, width / heads]."""
        projected: torch.Tensor = self.attention["self"][name](x)
        return projected.unflatten(2, (self.heads, -1)).transpose(1, 2)


def _added(before: int, after: int, config: Mapping[str, Any]) -> nn.ModuleDict:
    norm = nn.LayerNorm(after, config["layer_norm_eps"])
    return nn.ModuleDict({"dense": nn.Linear(before, after), "LayerNorm": norm})


def _add(part: nn.ModuleDict, x: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    added: torch.Tensor = part["LayerNorm"](part["dense"](x) + residual)
    return added


def _mean(x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean over the tokens that are not masked."""
    weights = mask[..., None].to(x.dtype)
    return (x * weights).sum(1) / weights.sum(1).clamp(min=1e-9)


def _refuse_others(config: Mapping[str, Any], pooling: Optional[str]) -> None:
    kind = config.get("model_type", "bert")
    positions = config.get("position_embedding_type", "absolute")
    if kind != "bert" or positions != "absolute" or config["hidden_act"] not in _ACTIVATIONS:
        raise UnsupportedModelError(
            f"not a BERT that this builder knows: model_type {kind!r}, positions {positions!r}, "
            f"activation {config['hidden_act']!r}"
        )
    if pooling not in (None, "mean", "cls"):
        raise UnsupportedModelError(f"pooling {pooling!r} is not mean or cls")
