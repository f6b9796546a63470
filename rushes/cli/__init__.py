"""The command line: `rushes`. Here stand the command itself, the settings of this machine, and options that commands
share. Commands are imported when they are called, so that help is quick.

Not here: the commands (`commands`), and how the service is asked (`service`).
"""

from rushes.cli.root import main

__all__ = ["main"]
