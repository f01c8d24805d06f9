"""The locate step as Kubeflow Pipelines shows it."""

from components.declaring import declare_component


@declare_component
def locate(history: str, known: list[str] = [], store: str = "") -> str:  # noqa: B006
    """Name the state of the source files, so that ingest runs again when, and only when, one of them changed.

    Args:
        history: The sales history: a file, a folder, a glob or a Blob prefix.
        known: The tables of what is known ahead, each the same way.
        store: The one store of this run; empty: all.

    Returns:
        Output: The version of the source: a hash of names, sizes and times of change.
    """
    from functools import partial

    from components.locate.step import locate as step
    from foreact.blobs import open_url
    from foreact.runs.process import configure_task

    settings, events = configure_task(store)
    return step(
        history=history,
        known=known,
        open_url=partial(open_url, settings=settings),
        events=events,
    )
