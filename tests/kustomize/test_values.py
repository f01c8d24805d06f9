"""What varies by place reaches everything that needs it."""

import re
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.kustomize.clones import make_clone
from tests.kustomize.manifests import Object, load, name, namespace

pytestmark = pytest.mark.kubectl
NOBODY = "00000000-0000-0000-0000-000000000000"
WHOSE = {"foreact": "SERVING", "kubeflow": "PIPELINES", "ray": "PIPELINES", "mlflow": "MLFLOW"}


@pytest.fixture(scope="module", params=["dev", "prod"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], list[Any]]:
    """Return the values of a place whose identities are all somebody else, and what is built of them."""
    overlay = make_clone(tmp_path_factory.mktemp("values") / "clone") / "kustomize/overlays" / request.param
    file = overlay / "values/values.env"
    numbers = count(1)
    file.write_text(re.sub(NOBODY, lambda _: f"{next(numbers):08}{NOBODY[8:]}", file.read_text()))
    return read_values(file), load(overlay)


def read_values(file: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in file.read_text().splitlines() if not line.startswith("#"))


def test_everybody_is_who_the_place_says(place: tuple[dict[str, str], list[Object]]) -> None:
    values, items = place
    found = {}
    for item in items:
        if item["kind"] == "SecretProviderClass":
            found[name(item)] = item["spec"]["parameters"]["clientID"]
            assert item["spec"]["parameters"]["tenantId"] == values["TENANT_ID"]
            assert item["spec"]["parameters"]["keyvaultName"] == values["KEY_VAULT"]
        annotations = item["metadata"].get("annotations", {})
        if item["kind"] == "ServiceAccount" and "azure.workload.identity/client-id" in annotations:
            found[name(item)] = annotations["azure.workload.identity/client-id"]
    assert len(found) == 10
    spaces = {name(item): namespace(item) for item in items}
    whose = {each: "TRAINING" if each == "ServiceAccount ray/ray-worker" else WHOSE[spaces[each]] for each in found}
    assert found == {each: values[f"{whose[each]}_CLIENT_ID"] for each in found}


def test_what_runs_by_the_clock_goes_by_the_places(place: tuple[dict[str, str], list[Object]]) -> None:
    values, items = place
    clocks = {name(item): item["spec"]["timeZone"] for item in items if item["kind"] == "CronJob"}
    assert set(clocks.values()) == {values["TIMEZONE"]}
    assert "CronJob kubeflow/foreact-reforecast" in clocks


def test_containers_are_where_the_service_and_the_steps_look(place: tuple[dict[str, str], list[Object]]) -> None:
    values, items = place
    configs = {item["metadata"]["name"]: item["data"] for item in items if item["kind"] == "ConfigMap"}
    [serving] = [data for each, data in configs.items() if each.startswith("foreact-serving-settings")]
    steps = configs["foreact-pipelines"]
    for key in ("BLOB_URL", "STATE_URL", "AUDIT_URL"):
        assert serving[f"FOREACT_{key}"] == values[key]
    assert (steps["FOREACT_BLOB_URL"], steps["HISTORY"]) == (values["BLOB_URL"], values["HISTORY_URL"])
    # They may write to neither.
    assert not {"FOREACT_STATE_URL", "FOREACT_AUDIT_URL"} & steps.keys()
