"""The name and version of this distribution, in one place for code and metadata."""

DISTRIBUTION = "onnx-zoo-pipeline"
__version__ = "0.1.0"
