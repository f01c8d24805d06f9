"""Register the models of a training and record which version makes each store's numbers."""

from dataclasses import dataclass
from pathlib import Path

from components.register.summary import summarize_decisions
from foreact.forecasting.judging.gate import GateOutcome
from foreact.registry import CHAIN, Candidate, RegisteredStore, Registry, Versions, model_name
from foreact.registry.records import dump_tag
from foreact.runs.events import Events
from foreact.runs.trained import Trained, TrainedFolder, TrainedStore
from foreact.settings import PipelineSettings


@dataclass(frozen=True)
class Registered:
    """What the run page shows."""

    versions: Versions
    summary: str
    metrics: dict[str, float]


def register(
    *,
    trained: Path,
    versions: Path,
    run: str,
    settings: PipelineSettings,
    code_version: str = "",
    parent_run: str = "",
    events: Events,
) -> Registered:
    """Register every model of the training, rejected challengers too, and write each store's version."""
    with events.step("register"):
        folder = TrainedFolder(trained)
        record = folder.read_record()
        candidates = [
            Candidate(
                store=store.store,
                folder=folder.model_folder(store.store),
                promoted=store.outcome is GateOutcome.PROMOTED,
                as_of=record.as_of.isoformat(),
                tags=_version_tags(store, code_version),
            )
            for store in record.stores.values()
            if folder.model_folder(store.store).is_dir()
        ]
        if folder.chain_folder.is_dir():
            tags = {"foreact.code_version": code_version}
            candidates.append(
                Candidate(CHAIN, folder.chain_folder, promoted=True, as_of=record.as_of.isoformat(), tags=tags)
            )
        registered: dict[str, str] = {}
        if candidates:
            registered = Registry.connect(settings).register_models(
                run,
                candidates,
                tags=_run_tags(record, code_version, parent_run),
                metrics=record.count_outcomes(),
                on_progress=lambda done: events.progress("register", done, len(candidates)),
            )
        result = Versions(
            run=run,
            stores={store: _choose_version(each, registered) for store, each in record.stores.items()},
            chain=_choose_chain(record, registered),
        )
        result.write(versions)
    return Registered(result, summarize_decisions(record, result), record.count_outcomes())


def _choose_version(store: TrainedStore, registered: dict[str, str]) -> RegisteredStore:
    version = registered.get(store.store)
    promoted = store.outcome is GateOutcome.PROMOTED and version is not None
    return RegisteredStore(
        name=model_name(store.store),
        version=version if promoted else store.champion_version,
        registered=version,
        promoted=promoted,
    )


def _choose_chain(record: Trained, registered: dict[str, str]) -> RegisteredStore | None:
    """Return the version of the chain's model that had a say: registered just now, or live before."""
    if record.chain is None:
        return None
    version = registered.get(CHAIN)
    return RegisteredStore(
        name=model_name(CHAIN),
        version=version or record.chain.version,
        registered=version,
        promoted=version is not None,
    )


def _version_tags(store: TrainedStore, code_version: str) -> dict[str, str]:
    return {
        "foreact.data_hash": store.data_hash,
        "foreact.code_version": code_version,
        "foreact.reason": store.reason,
        "foreact.champion_before": store.champion_version or "",
        "foreact.accuracy": dump_tag(store.challenger_accuracy.to_figures()),
        "foreact.experts": dump_tag({name: [each.share, each.scaled_error] for name, each in store.experts.items()}),
        "foreact.champion_accuracy": dump_tag(store.champion_accuracy.to_figures()),
        "foreact.baselines": dump_tag({name: accuracy.to_figures() for name, accuracy in store.baselines.items()}),
    }


def _run_tags(record: Trained, code_version: str, parent_run: str) -> dict[str, str]:
    tags = {
        "foreact.as_of": record.as_of.isoformat(),
        "foreact.horizon": str(record.horizon),
        "foreact.spacing": record.spacing,
        "foreact.source_version": record.source_version,
        "foreact.margin": str(record.margin),
        "foreact.code_version": code_version,
    }
    return {**tags, "mlflow.parentRunId": parent_run} if parent_run else tags
