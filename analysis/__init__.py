"""Reads the archive, never writes it: what the command line, scripts and notebooks ask is asked here."""

__version__ = "0.1.0"
