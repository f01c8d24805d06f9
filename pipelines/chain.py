"""The steps that both pipelines are, one after the other, whoever runs them."""

from collections.abc import Mapping
from typing import Any, Protocol

from components.ingest.component import ingest
from components.publish.component import publish
from components.register.component import register
from components.train.component import train
from components.validate.component import validate
from foreact.steps import STEPS, Step


class Call(Protocol):
    """A way to run a step: as a task of its own, or here and now."""

    def __call__(self, step: Step, component: Any, **inputs: Any) -> Any:
        """Return the step's task, whose `output` and `outputs` the next ones take."""


def run_steps(call: Call, parameters: Mapping[str, Any], run: str) -> None:
    """Call every step with its part of the pipeline's parameters; `run` names the run."""

    def pick(*names: str) -> dict[str, Any]:
        return {name: parameters[name] for name in names}

    store = pick("store")
    # Inside an exit handler a size reaches a task only if some task there takes it as an input of its own, as ingest
    # and train do: KFP's compiler does not pass resource parameters down by itself.
    ingested = call(
        STEPS["ingest"],
        ingest,
        cpu=parameters["step_cpu"],
        memory=parameters["step_memory"],
        **pick("history", "known", "columns", "country", "as_of", "spacing", "horizon", "missing", "stockouts"),
        **pick("full"),
        **store,
    )
    validated = call(
        STEPS["validate"], validate, dataset=ingested.outputs["dataset"], **pick("max_rejected_share"), **store
    )
    trained = call(
        STEPS["train"],
        train,
        dataset=validated.outputs["checked"],
        run=run,
        cpu=parameters["train_cpu"],
        memory=parameters["train_memory"],
        **pick("margin", "seed", "quantiles", "experts", "max_fallback_share", "accept_departures", "accept_losses"),
        **pick("version", "reason", "by", "force"),
        **store,
    )
    registered = call(STEPS["register"], register, trained=trained.outputs["trained"], run=run, **store)
    call(
        STEPS["publish"],
        publish,
        trained=trained.outputs["trained"],
        versions=registered.outputs["versions"],
        **store,
    )
