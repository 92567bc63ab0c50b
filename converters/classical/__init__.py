"""Our own converter of classical models: the source's arithmetic, written down as ONNX step by step.

`graph` is the builder, `columns` the values that flow between steps, `emit` finds the emitter of an
estimator, `families` holds the emitters, `layout` turns a model into named inputs and back into the
rows that its source sees. `docs/classical.md` shows how to add an estimator.
"""
