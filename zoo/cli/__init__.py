"""The command line: parse, call the API, print. Nothing here decides anything."""

from zoo.cli.main import main

__all__ = ["main"]
