"""The pipelines' parameters as options of a command: each is defined once."""

import inspect
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, is_dataclass
from datetime import date
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from foreact.blobs.connecting import refuse_credentials
from foreact.errors import ForeactError, count_noun
from foreact.quantiles import parse_quantiles
from foreact.runs import defaults
from foreact.spacing import Spacing

R = TypeVar("R")


def _parse_store(text: str) -> str:
    # To the steps, no store means all of them.
    if not text:
        raise ForeactError("--store is empty: name the store to retrain.")
    return text


def _parse_horizon(text: str) -> int:
    # To the steps, none means as is usual for the spacing.
    if not text.isdecimal() or not int(text):
        raise ForeactError(f"--horizon is {text!r}: give a number of days, weeks or months, at least 1.")
    return int(text)


Store = Annotated[str, typer.Option(metavar="ID", help="The store to retrain", parser=_parse_store)]


@dataclass(frozen=True)
class Tables:
    """The tables that are read beside the history, and the names of their columns."""

    known: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URI",
            help="What is known ahead (calendar, prices, promotions), keyed by any of date, store, item. "
            "May be repeated.",
        ),
    ] = None
    columns: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COLUMN,...",
            help="The file's names for date, store, item, units, open and stockout, as in date=Day,units=Qty.",
        ),
    ] = None
    country: Annotated[
        str | None,
        typer.Option(
            metavar="CODE",
            help="The country, or a subdivision of it, whose holidays count: an ISO code, as in DE or DE-BY. A store's "
            "own attributes country and region go before.",
        ),
    ] = None


@dataclass(frozen=True)
class Reading:
    """How much of the files is read."""

    full: Annotated[
        bool | None,
        typer.Option("--full", help="Read everything anew, even files that were read before."),
    ] = None


@dataclass(frozen=True)
class Learning:
    """Which data is used for training, and how far ahead is forecast."""

    as_of: Annotated[
        str | None, typer.Option(metavar="DATE", help="Last day to learn from (default: the history's last)")
    ] = None
    spacing: Annotated[
        str | None,
        typer.Option(
            metavar="daily|weekly|monthly|auto",
            help="Whether forecasts are of days, weeks or months; a daily history is summed to weeks or months "
            f"(default: {defaults.SPACING}, as the history's dates are)",
        ),
    ] = None
    horizon: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="How many days, weeks or months ahead, as the spacing is "
            f"(default: {', '.join(count_noun(each.usual_horizon, each.period) for each in Spacing)})",
            parser=_parse_horizon,
        ),
    ] = None
    missing: Annotated[
        str | None,
        typer.Option(
            metavar="zero|unknown|auto",
            help=f"What a missing row inside a series' life means (default: {defaults.MISSING})",
        ),
    ] = None
    stockouts: Annotated[
        str | None,
        typer.Option(
            metavar="keep|doubt",
            help="Whether zeros of days that a fast item's rate makes next to impossible count as days without demand, "
            f"or as sold out (default: {defaults.STOCKOUTS})",
        ),
    ] = None
    seed: Annotated[
        int | None, typer.Option(metavar="N", help=f"Seed of everything drawn at random (default: {defaults.SEED})")
    ] = None
    experts: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Installed experts beside the built-in ones, as `foreact experts` lists them (default: none)",
        ),
    ] = None


@dataclass(frozen=True)
class Publishing:
    """What is published of each forecast."""

    quantiles: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Quantiles to publish beside p10, p50 and p90: p and the percent of outcomes below, as in p5,p97.5 "
            f"(default: {defaults.QUANTILES})",
        ),
    ] = None


@dataclass(frozen=True)
class Judging:
    """How good the data must be to go on, and a model to go live."""

    margin: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE", help=f"How much worse than the live model a new one may be (default: {defaults.MARGIN})"
        ),
    ] = None
    max_rejected_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help=f"Share of faulty rows set aside before the run fails (default: {defaults.MAX_REJECTED_SHARE})",
        ),
    ] = None
    max_fallback_share: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help=f"Share of stores that may go without a new model (default: {defaults.MAX_FALLBACK_SHARE})",
        ),
    ] = None
    accept_departures: Annotated[
        bool | None,
        typer.Option(
            "--accept-departures",
            help="Publish numbers that depart from past sales and from the last publication beyond what is likely; "
            "without it such stores keep the last good ones.",
        ),
    ] = None
    accept_losses: Annotated[
        bool | None,
        typer.Option(
            "--accept-losses",
            help="Retrain without columns, attributes or known tables that live models and stores go by; without this "
            "option a run that lacks them is refused.",
        ),
    ] = None


def spread_options(command: Callable[..., R]) -> Callable[..., R]:
    """Make each field of a command's dataclass parameters an option of its own on the command line."""
    signature = inspect.signature(command)
    groups: dict[str, type[Any]] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation)
    }
    parameters: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name not in groups:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
            continue
        hints = get_type_hints(groups[name], include_extras=True)
        parameters += [
            inspect.Parameter(
                field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
            )
            for field in fields(groups[name])
        ]

    @wraps(command)
    def run_command(**options: Any) -> R:
        for name, group in groups.items():
            options[name] = group(**{field.name: options.pop(field.name) for field in fields(group)})
        return command(**options)

    run_command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return run_command


def read_parameters(
    history: str | None, tables: Tables, *others: Reading | Learning | Judging | Publishing
) -> dict[str, Any]:
    """Return the pipeline's parameters that the command line sets."""
    known = [_make_absolute(uri) for uri in tables.known or [] if uri]
    parameters: dict[str, Any] = {
        "history": _make_absolute(history) if history is not None else None,
        # A new history comes with its own tables, or none.
        "known": known if known or history is not None else None,
        "columns": _join_columns(tables.columns) if tables.columns else None,
        "country": tables.country,
    }
    for group in others:
        parameters |= asdict(group)
    if parameters.get("as_of") is not None:
        parameters["as_of"] = _read_day(parameters["as_of"])
    if parameters.get("quantiles") is not None:
        parse_quantiles(parameters["quantiles"])
    if parameters.get("experts") is not None:
        from foreact.forecasting.experts.installed import parse_experts

        parse_experts(parameters["experts"])
    for name in ("margin", "max_rejected_share", "max_fallback_share"):
        if parameters.get(name) is not None and not 0 <= parameters[name] <= 1:
            raise ForeactError(f"--{name.replace('_', '-')} is {parameters[name]}; it must be a share from 0 to 1.")
    return {name: value for name, value in parameters.items() if value is not None}


def require_experts(parameters: dict[str, Any]) -> None:
    """Raise if a run on this machine asks for an expert that is not installed here."""
    if parameters.get("experts"):
        from foreact.forecasting.experts.installed import find_expert, parse_experts

        for name in parse_experts(parameters["experts"]):
            find_expert(name)


def _read_day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ForeactError(f"--as-of {text!r} is not a date: write it as 2026-01-31.") from None


def _make_absolute(uri: str) -> str:
    if not uri:
        raise ForeactError("--history is empty: name a file, a folder, a glob or a Blob prefix.")
    if "://" not in uri:
        return str(Path(uri).expanduser().absolute())
    refuse_credentials(uri)
    return uri


def _join_columns(columns: list[str]) -> str:
    from foreact.data.reading.columns import parse_columns

    text = ",".join(columns)
    parse_columns(text)
    return text
