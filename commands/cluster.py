"""What the commands on Kubeflow Pipelines share: the installation, and parameters of the pipelines."""

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
    """The installation; what is left out comes from the FOREACT_KFP_* settings."""

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
    """Return the installation's settings, overridden by the options of the command line."""
    from foreact.kubeflow.settings import KubeflowSettings

    options = asdict(cluster) | {"service_account": account}
    return KubeflowSettings().model_copy(update={name: value for name, value in options.items() if value is not None})


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
    """Raise if a path is on this machine, because no pod of the cluster could read it."""
    for uri in [parameters.get("history", ""), *parameters.get("known", [])]:
        if uri and "://" not in uri:
            raise ForeactError(
                f"{uri} is a path on this machine; the cluster's pods read from Blob: use "
                "https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX."
            )
