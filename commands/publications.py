"""`foreact publications` and `foreact export`: list, show, restore, withdraw and export what is published."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commands.options import Workspace, name_caller, note_action, open_store
from foreact.errors import ForeactError, count_noun, end_sentence, name_examples, suggest_name
from foreact.publications.contract import FORECAST_COLUMNS, TOTALS_COLUMNS, Kind
from foreact.quantiles import list_quantiles

if TYPE_CHECKING:
    from foreact.publications import Reader

publications_app = typer.Typer(no_args_is_help=True, help="List, show, restore and withdraw what was published.")

Version = Annotated[int, typer.Argument(metavar="VERSION", help="Its number, as `list` shows it")]


def open_reader(workspace: Path) -> "Reader":
    """Open the publications of a workspace, or those in the blob store that the settings name."""
    from foreact.publications import Reader

    return Reader(open_store(workspace))


@publications_app.command("list")
def list_publications(
    workspace: Workspace,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME:VERSION",
            help="Only versions, retained or not, with forecasts of this model version, or of the model of this run",
        ),
    ] = "",
) -> None:
    """List every retained version, newest first."""
    from foreact.publications.lineage import find_versions_with_model, summarize_version

    reader = open_reader(workspace)
    name, _, number = model.rpartition(":")
    if model and not (name and number):
        raise ForeactError(f"--model takes a registered model and its version, as in foreact-1:3, not {model!r}.")
    versions = list(find_versions_with_model(reader, name, number) if model else reader.read_history(retained=True))
    for manifest in versions:
        typer.echo(summarize_version(manifest))
    if not versions:
        typer.echo(
            "No version has forecasts of this model version." if model else "Nothing is published yet.", err=True
        )


@publications_app.command("show")
def show_publication(version: Version, workspace: Workspace) -> None:
    """Show one version: each store's model, run, data and accuracy, and what changed since the version before."""
    from foreact.publications.lineage import describe_version

    typer.echo(describe_version(open_reader(workspace), version))


@publications_app.command("restore")
def restore_publication(
    version: Version,
    workspace: Workspace,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who read the list later")] = "",
) -> None:
    """Restore a retained version, as a new version that records who did it and why."""
    from foreact.publications import Publisher

    manifest = Publisher(open_store(workspace)).restore(version, by=name_caller(), reason=reason)
    note_action(workspace, "restore", f"version {version}")
    typer.echo(f"Version {manifest.version} is current: it restores version {version}.")


@publications_app.command("withdraw")
def withdraw_stores(
    store: Annotated[
        list[str], typer.Argument(metavar="STORE...", help="Stores that have closed, as the history names them")
    ],
    workspace: Workspace,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for those who read the list later")] = "",
) -> None:
    """Take stores that have closed out of what is published; a run whose sales have them publishes them again."""
    from foreact.publications import Publisher

    manifest = Publisher(open_store(workspace)).withdraw(store, by=name_caller(), reason=reason)
    note_action(workspace, "withdraw", ", ".join(store))
    typer.echo(f"Version {manifest.version} is current: it goes on without {name_examples(sorted(set(store)))}.")


def export(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where to write: .csv or .parquet")],
    workspace: Workspace,
    store: Annotated[list[str] | None, typer.Option(metavar="ID", help="Only this store. May be repeated.")] = None,
    totals: Annotated[bool, typer.Option("--totals", help="The stores' daily totals instead of their items")] = False,
) -> None:
    """Write the published forecasts to a file: store, item, date, mean, p10, p50, p90 and all other quantiles."""
    if out.suffix not in {".csv", ".parquet"}:
        raise ForeactError(f"--out takes a .csv or a .parquet file, not {str(out)!r}.")
    reader = open_reader(workspace)
    manifest = reader.read_current().manifest
    unknown = sorted(set(store or []) - set(manifest.stores))
    if unknown:
        hint = suggest_name(unknown[0], manifest.stores)
        raise ForeactError(end_sentence(f"No forecasts are published for {name_examples(unknown)}{hint}"))
    kind: Kind = "totals" if totals else "forecasts"
    names = sorted(set(store)) if store else list(manifest.stores)
    keys = [name for name in (TOTALS_COLUMNS if totals else FORECAST_COLUMNS) if not list_quantiles([name])]
    columns = [*keys, *list_quantiles({name for store in names for name in manifest.stores[store].list_columns(kind)})]
    draft = out.with_name(f".{out.name}.part")
    rows = 0
    try:
        with draft.open("wb") as file:
            writer = None
            for name in names:
                table = _cast_to_plain_text(
                    _select_columns(reader.read_table(manifest.stores[name].objects[kind]), columns)
                )
                table = _guard_texts(table) if out.suffix == ".csv" else table
                writer = writer or _open_writer(file, table.schema, out.suffix)
                writer.write_table(table)
                rows += table.num_rows
            if writer is not None:
                writer.close()
        draft.replace(out)
    except OSError as error:
        with suppress(OSError):
            draft.unlink()
        raise ForeactError(f"{str(out)!r} cannot be written: {error.strerror or error}.") from None
    typer.echo(f"{count_noun(rows, 'row')} of {count_noun(len(names), 'store')}, version {manifest.version}, in {out}")


def _select_columns(table: Any, columns: list[str]) -> Any:
    """Return the columns; those that this store was published without are empty."""
    import pyarrow as pa

    for name in set(columns) - set(table.column_names):
        table = table.append_column(name, pa.nulls(table.num_rows, pa.float32()))
    return table.select(columns)


def _cast_to_plain_text(table: Any) -> Any:
    """Return the table with text columns as plain text, so that every store's rows have one schema."""
    import pyarrow as pa

    kinds = [pa.field(f.name, pa.string() if pa.types.is_dictionary(f.type) else f.type) for f in table.schema]
    return table.cast(pa.schema(kinds))


def _guard_texts(table: Any) -> Any:
    """Return the table without a text that a spreadsheet takes for a formula."""
    import pyarrow as pa

    from foreact.spreadsheets import guard_text

    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            coded = table.column(place).combine_chunks().dictionary_encode()
            texts = pa.array([guard_text(text) for text in coded.dictionary.to_pylist()], pa.string())
            table = table.set_column(place, field, texts.take(coded.indices))
    return table


def _open_writer(file: Any, schema: Any, suffix: str) -> Any:
    if suffix == ".csv":
        from pyarrow import csv

        return csv.CSVWriter(file, schema, write_options=csv.WriteOptions(quoting_style="needed"))
    import pyarrow.parquet as pq

    return pq.ParquetWriter(file, schema, compression="zstd")
