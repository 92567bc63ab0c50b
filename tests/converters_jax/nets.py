"""Source code of the networks under test, and of the script that saves them in JAX's environment."""

NETS = """
import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx


class Cnn(nn.Module):
    classes: int = 5

    @nn.compact
    def __call__(self, x):
        x = nn.Conv(8, (3, 3))(x)
        x = nn.BatchNorm(use_running_average=True)(x)
        x = nn.gelu(x, approximate=False)
        x = nn.avg_pool(x, (2, 2), strides=(2, 2))
        return nn.softmax(nn.Dense(self.classes)(x.reshape(x.shape[0], -1)))


class Recurrent(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.RNN(nn.LSTMCell(8))(x)


class Attention(nn.Module):
    @nn.compact
    def __call__(self, ids):
        x = nn.Embed(50, 16)(ids)
        h = nn.LayerNorm()(x)
        x = x + nn.MultiHeadDotProductAttention(num_heads=2)(h, h)
        return nn.Dense(3)(x.mean(axis=1))


class Nnx(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(6, 4, rngs=rngs), nnx.Linear(4, 3, rngs=rngs)])
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        for layer in self.layers:
            x = nnx.silu(layer(x))
        return self.norm(self.dropout(x))


def cnn(classes=5):
    return Cnn(classes)


def recurrent():
    return Recurrent()


def attention():
    return Attention()


def nnx_net():
    return Nnx(nnx.Rngs(1))


def two_inputs():
    def apply(parameters, x, y):
        return {"sum": jnp.tanh(x @ parameters["w"] + parameters["b"]) + y, "total": x.sum(axis=1)}

    return apply


def rounded():
    return lambda parameters, x: jnp.floor(x @ parameters["w"]) % 3


def number():
    return 3
"""

WRITER = """
import pickle
from pathlib import Path

import flax.serialization as serialization
import jax
import jax.numpy as jnp
import nets
import numpy as np
import orbax.checkpoint as ocp
from flax import nnx

here = Path.cwd()
key = jax.random.key(0)
random = np.random.default_rng(0)
weights = {"w": random.normal(size=(6, 4)).astype(np.float32), "b": random.normal(size=4).astype(np.float32)}

leaves, tree = jax.tree.flatten(nets.Cnn().init(key, jnp.zeros((1, 8, 8, 3))))
moved = [leaf + 0.1 * jnp.arange(leaf.size).reshape(leaf.shape) / leaf.size for leaf in leaves]
cnn = jax.tree.unflatten(tree, moved)
here.joinpath("cnn.msgpack").write_bytes(serialization.to_bytes(cnn))
with ocp.StandardCheckpointer() as checkpointer:
    checkpointer.save(here / "cnn_orbax", cnn)

variables = nets.Attention().init(key, jnp.zeros((1, 4), jnp.int32))
state = {"step": 7, "opt_state": {"count": 3}, "params": variables["params"]}
here.joinpath("state.msgpack").write_bytes(serialization.to_bytes(state))

variables = nets.Recurrent().init(key, jnp.zeros((1, 4, 3)))
here.joinpath("recurrent.msgpack").write_bytes(serialization.to_bytes(variables["params"]))

state = nnx.state(nets.Nnx(nnx.Rngs(0)), nnx.Any(nnx.Param, nnx.BatchStat))
here.joinpath("nnx.msgpack").write_bytes(serialization.to_bytes(nnx.to_pure_dict(state)))

here.joinpath("numpy.pkl").write_bytes(pickle.dumps(weights))
here.joinpath("jax.pkl").write_bytes(pickle.dumps(jax.tree.map(jnp.asarray, weights)))

shape = jax.ShapeDtypeStruct((2, 6), jnp.float32)
exported = jax.export.export(jax.jit(lambda x: x @ weights["w"]))(shape)
here.joinpath("exported.bin").write_bytes(exported.serialize())
"""
