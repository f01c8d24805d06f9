"""All steps of one store as one task of Kubeflow Pipelines."""

from kfp import dsl

from components.declaring import declare_component


@declare_component
def retrain_in_one_pod(
    store: str,
    history: str,
    known: list[str],
    columns: str,
    country: str,
    full: bool,
    as_of: str,
    spacing: str,
    horizon: int,
    missing: str,
    stockouts: str,
    max_rejected_share: float,
    margin: float,
    max_fallback_share: float,
    accept_departures: bool,
    accept_losses: bool,
    seed: int,
    quantiles: str,
    experts: str,
    version: str,
    reason: str,
    by: str,
    force: bool,
    step_cpu: str,
    step_memory: str,
    train_cpu: str,
    train_memory: str,
    run: str,
    overview: dsl.Output[dsl.HTML],
    data_checks: dsl.Output[dsl.HTML],
    rejected: dsl.Output[dsl.Artifact],
    backtest: dsl.Output[dsl.HTML],
    gate: dsl.Output[dsl.Markdown],
    published: dsl.Output[dsl.Markdown],
    figures: dsl.Output[dsl.Metrics],
) -> None:
    """Ingest, validate, train, register and publish one store, one step after the other.

    Args:
        store: The store to retrain, as the history names it.
        history: The sales history: a file, a folder, a glob or a Blob prefix; CSV or Parquet.
        known: The tables of what is known ahead (calendar, prices, promotions), by any of date, store and item.
        columns: Our names and the files' names, as in date=Day,store=Shop.
        country: The country or subdivision whose holidays count, as in DE or DE-BY; empty: what stores' attributes say.
        full: Whether everything is read anew, even files that were read before.
        as_of: The last day that may be used, as in 2026-01-31; empty: the last day of the history.
        spacing: Whether forecasts are daily, weekly or monthly; auto: as the history's dates are.
        horizon: How many days, weeks or months ahead are forecast, as the spacing is; 0: 28 days, 8 weeks or 6 months.
        missing: What a missing row within a series' life is: zero, unknown, or auto (zero if the store reported
            anything that day, or sells on few days; else unknown).
        stockouts: Whether zeros that a fast item's rate makes next to impossible count as days without demand (keep) or
            as sold out (doubt).
        max_rejected_share: The share of rejected rows above which the data is refused.
        margin: How much worse than the champion a challenger may score and still go live, as a share.
        max_fallback_share: The run fails when more than this share of the stores could not be trained.
        accept_departures: Whether numbers are published that depart from past sales and from the last publication
            beyond what is likely; if not, such stores keep the last good ones.
        accept_losses: Whether the run may go on without columns, attributes or known tables that live models and stores
            go by.
        seed: Seed of everything drawn at random.
        quantiles: Which quantiles are published beside p10, p50 and p90, as in p5,p97.5.
        experts: Names of installed experts that forecast beside the built-in ones, as in fortnight,mine; empty: none.
        version: A registered version that is judged and published in place of a newly trained model; empty: train one.
        reason: Why that version; without a reason it is refused.
        by: Who chose it.
        force: Whether it is published even if it loses at the gate.
        step_cpu: How many cores each step has, but for train.
        step_memory: How much memory each step has, but for train.
        train_cpu: How many cores train has; without a Ray cluster, that many stores are trained at once.
        train_memory: How much memory train has.
        run: The pipeline run's id.

    Returns:
        overview: The run's first page: what became of it, its figures, and how the store fares.
        data_checks: Every rule of the data, how often it is broken, and sample rows.
        rejected: The rows that were left out or blanked, as CSV, each with the rule and its own text.
        backtest: Backtest report: forecast against actual, error by horizon, coverage, the store's decision.
        gate: What the gate decided, and why.
        published: What was published, and what stayed as it was.
        figures: The figures of all steps, each by the step's name and its own.
    """
    from pipelines.one_pod.execution import run_in_one_pod

    run_in_one_pod(
        {
            "store": store,
            "history": history,
            "known": known,
            "columns": columns,
            "country": country,
            "full": full,
            "as_of": as_of,
            "spacing": spacing,
            "horizon": horizon,
            "missing": missing,
            "stockouts": stockouts,
            "max_rejected_share": max_rejected_share,
            "margin": margin,
            "max_fallback_share": max_fallback_share,
            "accept_departures": accept_departures,
            "accept_losses": accept_losses,
            "seed": seed,
            "quantiles": quantiles,
            "experts": experts,
            "version": version,
            "reason": reason,
            "by": by,
            "force": force,
            "step_cpu": step_cpu,
            "step_memory": step_memory,
            "train_cpu": train_cpu,
            "train_memory": train_memory,
        },
        {
            "overview": overview.path,
            "data_checks": data_checks.path,
            "rejected": rejected.path,
            "backtest": backtest.path,
            "gate": gate.path,
            "published": published.path,
        },
        figures.log_metric,
        run=run,
    )
