"""Run by the Paddle environment's own Python: ``make_models.py FOLDER NAME…`` saves models there."""

import sys
from pathlib import Path

import paddle
from paddle import nn
from paddle.nn import functional
from paddle.static import InputSpec

PICTURES = [InputSpec([None, 3, 16, 16], "float32", "x")]
ROWS = [InputSpec([None, 8], "float32", "x")]


class Pictures(nn.Layer):
    """Everything whose attributes are doubles: a slope, an epsilon, an interpolation's scale."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2D(3, 8, 3, padding=1)
        self.batch = nn.BatchNorm2D(8)
        self.group = nn.GroupNorm(2, 8)
        self.linear = nn.Linear(8, 5)

    def forward(self, x):
        y = functional.leaky_relu(self.batch(self.convolution(x)), 0.2)
        y = self.group(functional.interpolate(y, scale_factor=2, mode="nearest"))
        return functional.softmax(self.linear(y.mean([2, 3]))), y


class Words(nn.Layer):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(50, 12)
        self.recurrent = nn.LSTM(12, 10, direction="bidirect")
        self.linear = nn.Linear(20, 3)

    def forward(self, ids):
        return self.linear(self.recurrent(self.embedding(ids))[0].mean(1))


class Curves(nn.Layer):
    """Functions that paddle2onnx writes as others."""

    def forward(self, x):
        both = functional.gelu(x) + functional.gelu(x, approximate=True)
        hard = functional.hardtanh(x, -0.5, 2.0) + functional.hardtanh(x)
        return functional.gelu(both), functional.log_sigmoid(10 * x), functional.log_softmax(x), hard


class Linear(nn.Layer):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 3)

    def forward(self, x):
        return self.linear(x)


class Same(nn.Layer):
    def forward(self, x):
        return x


class Decomposed(nn.Layer):
    def forward(self, x):
        return paddle.linalg.svd(x)[1]


class Random(nn.Layer):
    def forward(self, x):
        return x + paddle.randn([8])


class Flipped(nn.Layer):
    def forward(self, x):
        return paddle.flip(x, [0])


def save_writing(prefix):
    """A program of before Paddle 3 that writes a file when it is run."""
    with paddle.pir_utils.OldIrGuard():
        program = paddle.static.Program()
        with paddle.static.program_guard(program):
            x = paddle.static.data("x", [None, 8], "float32")
            program.global_block().append_op(
                type="save", inputs={"X": [x]}, outputs={}, attrs={"file_path": prefix + ".written"}
            )
        Path(prefix + ".pdmodel").write_bytes(program.desc.serialize_to_string())


MODELS = {
    "pictures": (Pictures, PICTURES),
    "words": (Words, [InputSpec([None, None], "int64", "ids")]),
    "curves": (Curves, ROWS),
    "linear": (Linear, ROWS),
    "same": (Same, ROWS),
    "decomposed": (Decomposed, [InputSpec([None, 4, 4], "float32", "x")]),
    "random": (Random, ROWS),
    "flipped": (Flipped, ROWS),
}


def main(folder, names):
    for name in names:
        paddle.seed(0)
        if name == "writing":
            save_writing(f"{folder}/{name}")
            continue
        build, specs = MODELS[name]
        layer = build()
        layer.eval()
        paddle.jit.save(layer, f"{folder}/{name}", input_spec=specs)


main(sys.argv[1], sys.argv[2:])
