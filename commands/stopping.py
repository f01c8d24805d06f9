"""Ctrl-C, answered with a sentence."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def stop_with_sentence(sentence: str) -> Iterator[None]:
    """Let Ctrl-C end a command with a sentence about the state of its work."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(sentence, err=True)
        raise typer.Exit(130) from None
