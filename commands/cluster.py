"""What the commands on Kubeflow Pipelines share: which installation is meant, and how parameters are given."""

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foreact.errors import ForeactError

if TYPE_CHECKING:
    from foreact.kubeflow.api import Kubeflow
    from foreact.kubeflow.settings import KubeflowSettings

Source = typer.Option(
    metavar="URI",
    help="Sales in Blob: https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX; one row a date, store and item.",
    show_default=False,
)


@dataclass(frozen=True)
class Cluster:
    """Which installation is meant; what is left out, FOREACT_KFP_* settings say."""

    host: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Kubeflow Pipelines' API (default: FOREACT_KFP_HOST)", show_default=False),
    ] = None
    namespace: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Namespace of the runs, on an installation with several users", show_default=False
        ),
    ] = None
    experiment: Annotated[
        str | None, typer.Option(metavar="NAME", help="Experiment of the runs (default: foreact)", show_default=False)
    ] = None


ServiceAccount = Annotated[
    str | None,
    typer.Option(
        "--service-account",
        metavar="NAME",
        help="Service account of the runs' pods (default: foreact-pipelines)",
        show_default=False,
    ),
]


OtherParameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter", metavar="NAME=JSON", help="Any other parameter of the pipeline, as in train_memory='\"16Gi\"'"
    ),
]


def read_settings(cluster: Cluster, account: str | None = None) -> "KubeflowSettings":
    """Return the installation's settings, with what the command line says in their place."""
    from foreact.kubeflow.settings import KubeflowSettings

    given = asdict(cluster) | {"service_account": account}
    return KubeflowSettings().model_copy(update={name: value for name, value in given.items() if value is not None})


def connect_kubeflow(settings: "KubeflowSettings") -> "Kubeflow":
    """Return the client of an installation."""
    try:
        from foreact.kubeflow.api import Kubeflow
    except ImportError:
        raise ForeactError("This needs the Kubeflow Pipelines client: pip install 'foreact[kubeflow]'.") from None
    return Kubeflow(settings)


def read_other_parameters(pairs: list[str] | None) -> dict[str, Any]:
    """Return the parameters that were given as NAME=JSON."""
    others = {}
    for pair in pairs or []:
        name, separator, value = pair.partition("=")
        try:
            if not separator:
                raise ValueError
            others[name.strip()] = json.loads(value)
        except ValueError:
            raise ForeactError(f"--parameter takes NAME=JSON, as in train_cpu='\"4\"', not {pair!r}.") from None
    return others


def refuse_local_paths(parameters: dict[str, Any]) -> None:
    """Refuse files of this machine, which no pod of the cluster could read."""
    for uri in [parameters.get("history", ""), *parameters.get("known", [])]:
        if uri and "://" not in uri:
            raise ForeactError(
                f"{uri} is a path on this machine; the cluster's pods read from Blob: give "
                "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX."
            )
