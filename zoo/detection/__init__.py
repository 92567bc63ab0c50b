"""Readers of file formats: what is in a file, from its bytes alone and with bounded work.

Nothing here loads a model or imports a framework. `zoo.detect` uses the readers to say what a file
is, `zoo.safety` to say whether loading it could run its author's code.
"""
