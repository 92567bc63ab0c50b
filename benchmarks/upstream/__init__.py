"""Faults of upstream converters: the scripts of ``docs/upstream/`` run, before and after (`zoo.export`)."""
