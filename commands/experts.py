"""`foreact experts`: which experts there are, and whether one that a package brings is sound."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from foreact.forecasting.experts.conformance import Finding

experts_app = typer.Typer(help="List the experts that forecast a store, or check an installed one.")

BUILT_IN = {
    "store": "a ridge of the store's totals and one boosting of its items",
    "chain": "one boosting over all stores and items, fitted by retrain-all",
    "weekday_mean": "the mean of eight weeks by weekday",
    "smoothing": "each item's recent level times its week",
    "last_year": "each item's last year around the date, times the growth since",
}


@experts_app.callback(invoke_without_command=True)
def list_experts(context: typer.Context) -> None:
    """List the built-in experts and those that installed packages bring for --experts."""
    if context.invoked_subcommand is not None:
        return
    from foreact.errors import ForeactError
    from foreact.forecasting.experts.installed import describe_package, list_installed, load_expert

    rows = [(name, "built-in", about) for name, about in BUILT_IN.items()]
    for name, points in list_installed().items():
        try:
            about = (type(load_expert(name)).__doc__ or "").strip().partition("\n")[0]
        except ForeactError as error:
            about = f"broken: {error}"
        rows.append((name, describe_package(points[0]), about))
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, package, about in rows:
        typer.echo(f"{name:{widths[0]}}  {package:{widths[1]}}  {about}".rstrip())


@experts_app.command("check")
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The expert, as `foreact experts` lists it")],
) -> None:
    """Try an installed expert on made-up stores. Exit code: 0 every check is passed, 1 one is not."""
    from foreact.errors import ForeactError
    from foreact.forecasting.experts.conformance import check_expert
    from foreact.forecasting.experts.installed import ExpertError, load_expert

    try:
        expert = load_expert(name)
    except ExpertError as error:
        raise ForeactError(f"The expert {name!r} cannot be checked: {error}.") from None
    by_check: dict[str, list[Finding]] = {}
    for finding in check_expert(expert):
        if finding.skip:
            typer.echo(f"skip  {finding.store}: {finding.skip}")
        else:
            by_check.setdefault(finding.check, []).append(finding)
    for described, findings in by_check.items():
        problems = [f"{finding.store}: {finding.problem}" for finding in findings if finding.problem]
        typer.echo(f"FAIL  {described}: {'; '.join(problems)}" if problems else f"ok    {described}")
    failed = sum(any(finding.problem for finding in findings) for findings in by_check.values())
    if failed:
        raise ForeactError(f"The expert {name!r} fails {failed} of {len(by_check)} checks.")
    if not by_check:
        raise ForeactError(f"The expert {name!r} skips every made-up store, so that nothing could be checked.")
