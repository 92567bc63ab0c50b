"""Sources of the planted suite that no converter of ours stands between: scikit-learn itself, and PyTorch
with its float64 twin."""

from __future__ import annotations

import copy

import numpy as np
import torch

from converters.from_torch import TorchConverter
from zoo.records import ColumnDomain, Domain, Signature, SourceDescription, TensorSpec


class PreciseTorch(TorchConverter):
    """PyTorch that also answers in float64."""

    def predict_precise(self, model, feeds):
        twin = copy.deepcopy(model).double()
        floats = {name for name, array in feeds.items() if array.dtype == np.float32}
        wide = {name: array.astype(np.float64) if name in floats else array for name, array in feeds.items()}
        return super().predict(twin, wide)

    def layers(self, model, feeds):
        """``(name, kind, array, where)`` of every module's first output, in order of execution."""
        seen, handles = [], []

        def remember(name, module):
            def hook(_module, _inputs, output):
                if isinstance(output, torch.Tensor):
                    seen.append((name, type(module).__name__, output.detach().numpy(), ""))

            return hook

        for name, module in model.named_modules():
            handles.append(module.register_forward_hook(remember(name, module)))
        self.predict(model, feeds)
        for handle in handles:
            handle.remove()
        return seen


class PlainSklearn:
    """Any fitted scikit-learn estimator on one matrix, or one column of text (option ``text``)."""

    framework = "sklearn"

    def describe(self, model, request):
        text = bool(request.options.get("text"))
        width = 1 if text else model.n_features_in_
        spec = TensorSpec("X", "string" if text else "float32", ("batch", width))
        accepts_nan = bool(request.options.get("nan"))
        columns = [ColumnDomain() if text else _column(model, i, accepts_nan) for i in range(width)]
        roles = {"label": "label", "probabilities": "probabilities"} if hasattr(model, "classes_") else {}
        return SourceDescription(Signature((spec,)), domains=(Domain(tuple(columns)),), roles=roles)

    def predict(self, model, feeds):
        rows = feeds["X"]
        rows = rows[:, 0] if rows.dtype.kind == "U" else rows
        if not hasattr(model, "classes_"):
            return {"variable": model.predict(rows)}
        return {"label": model.predict(rows), "probabilities": model.predict_proba(rows)}

    def convert(self, model, request):
        """What skl2onnx makes of it, at its documented defaults but for the locale and the ZipMap."""
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType, StringTensorType

        text = bool(request.options.get("text"))
        kind = StringTensorType([None, 1]) if text else FloatTensorType([None, model.n_features_in_])
        opset = {"": 17, "ai.onnx.ml": 3}
        return convert_sklearn(
            model, initial_types=[("X", kind)], target_opset=opset, options=_options(model, text)
        )


def _options(model, text):
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else {}
    return {id(model[0]): {"locale": "C.UTF-8"}, id(model[-1]): {"zipmap": False}} if text else options


def _column(model, index, accepts_nan):
    trees = [tree for tree in np.ravel(getattr(model, "estimators_", [model])) if hasattr(tree, "tree_")]
    values = [tree.tree_.threshold[tree.tree_.feature == index] for tree in trees]
    found = tuple(float(v) for v in np.unique(np.concatenate(values))) if values else ()
    return ColumnDomain(-3.0, 3.0, values=found, accepts_nan=accepts_nan)
