"""Modules for weights that come without code: each builder's keys match its published checkpoint.

A builder is named as ``converters.architectures.<module>:<function>``. The modules say their inputs
themselves (`zoo_inputs`), so that no shape has to be given. The code is our own, written after the
cited papers and the shapes of the weights.
"""
