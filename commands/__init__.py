"""The `foreact` command."""

from commands.app import main

__all__ = ["main"]
