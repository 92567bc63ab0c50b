"""Proof that an ONNX file computes what its source computes.

``feeds`` makes the inputs, ``runtime`` runs ONNX Runtime, ``comparison`` judges, ``report`` tells.
The policy and its reasons are in ``docs/verification.md``.
"""
