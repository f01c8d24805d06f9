"""Ctrl-C, and the order to end that a machine gives, answered with a sentence."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def stop_with_sentence(sentence: str) -> Iterator[None]:
    """Let Ctrl-C or SIGTERM end a command with a sentence about the state of its work."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        typer.echo(sentence, err=True)
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)
