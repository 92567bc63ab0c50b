"""scikit-learn's source by the shipped converter, and the graph that plain skl2onnx makes of it."""

from __future__ import annotations

from converters.from_sklearn import SklearnConverter


class Upstream(SklearnConverter):
    """The graph comes from skl2onnx, at its documented defaults but for the locale and the ZipMap."""

    def convert(self, model, request):
        from skl2onnx import convert_sklearn
        from skl2onnx.common.data_types import FloatTensorType, StringTensorType

        spec = self.describe(model, request).signature.inputs[0]
        text = spec.dtype == "string"
        kind = StringTensorType([None, 1]) if text else FloatTensorType([None, model.n_features_in_])
        opset = {"": 17, "ai.onnx.ml": 3}
        named = [(spec.name, kind)]
        return convert_sklearn(model, initial_types=named, target_opset=opset, options=_options(model, text))


def _options(model, text):
    options = {id(model): {"zipmap": False}} if hasattr(model, "classes_") else {}
    return {id(model[0]): {"locale": "C.UTF-8"}, id(model[-1]): {"zipmap": False}} if text else options
