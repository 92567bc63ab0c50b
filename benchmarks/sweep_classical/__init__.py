"""A sweep of classical models, ours against plain upstream; see `__main__`."""
