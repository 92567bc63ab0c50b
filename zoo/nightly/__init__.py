"""Validate every entry of a registry, as a nightly job does."""

from zoo.nightly.validation import EntryResult, Validation, validate

__all__ = ["EntryResult", "Validation", "validate"]
