"""The version of this distribution, in one place for code and metadata."""

__version__ = "0.1.0"
