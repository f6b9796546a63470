"""The command line: `rushes`. Commands live in modules of their own, imported when they are called."""

from rushes.cli.root import main

__all__ = ["main"]
