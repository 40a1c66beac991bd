"""The one place that states boxship's version."""

__version__ = "0.1.0"
