"""A converter as a third party would write it, for a framework that lives on Python 3.9 only."""
