"""The `foreact` command."""

from foreact.cli.app import main

__all__ = ["main"]
