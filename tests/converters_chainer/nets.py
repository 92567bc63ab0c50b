"""The chains of the tests: copied beside the parameters, where the environment's Python finds them."""

import chainer
import chainer.functions as F  # noqa: N812 - Chainer's own habit
import chainer.links as L  # noqa: N812
import numpy as np


class Pictures(chainer.Chain):
    """Its Reshape holds the batch that it is traced with."""

    def __init__(self, classes=5):
        super().__init__()
        with self.init_scope():
            self.convolution = L.Convolution2D(3, 8, 3, pad=1)
            self.batch = L.BatchNormalization(8)
            self.hidden = L.Linear(8 * 8 * 8, 12)
            self.norm = L.LayerNormalization(12)
            self.last = L.Linear(12, classes)

    def forward(self, x):
        y = F.max_pooling_2d(F.relu(self.batch(self.convolution(x))), 2)
        y = F.reshape(y, (y.shape[0], -1))
        return F.softmax(self.last(F.dropout(F.tanh(self.norm(self.hidden(y))))))


class Recurrent(chainer.Chain):
    """Starts from zeros, one row for each row of the batch; the LSTM cell is none of onnx_chainer's."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.cell = L.StatelessLSTM(8, 6)

    def forward(self, x):
        c = h = np.zeros((x.shape[0], 6), np.float32)
        for step in range(5):
            c, h = self.cell(c, h, x[:, step])
        return {"z": h, "a": c}


class Normalised(chainer.Chain):
    """Divides by the deviation of a saturated cell, which is little more than rounding."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.cell = L.StatelessLSTM(8, 6)
            self.norm = L.LayerNormalization(6)

    def forward(self, x):
        c = h = np.zeros((x.shape[0], 6), np.float32)
        for step in range(5):
            c, h = self.cell(c, h, x[:, step])
            h = self.norm(h)
        return h


class Resized(chainer.Chain):
    def forward(self, x):
        return F.normalize(F.resize_images(x, (15, 13)))


class Looping(chainer.Chain):
    """Another graph for another batch size."""

    def forward(self, x):
        return F.stack([row * number for number, row in enumerate(F.separate(x, axis=0))])


class Unsupported(chainer.Chain):
    def forward(self, x):
        return F.crelu(x)


class Drawing(chainer.Chain):
    def forward(self, x):
        return x + np.random.rand(8).astype(np.float32)
