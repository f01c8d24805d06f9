"""What the OpenAPI description promises, asked for in every way schemathesis thinks of."""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from foreact.blobs.folder import FolderStore
from serving.app import create_app
from serving.auth import keys
from serving.auth.principal import Grant
from serving.settings import ServingSettings
from tests.serving import shop
from tests.serving.conftest import Clock

EXAMPLES = int(os.environ.get("FOREACT_EXAMPLES", "15"))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("openapi")
    store = FolderStore(folder / "blobs")
    shop.publish(store)
    shop.publish(store, run="run-2", seed=2)
    chosen = ServingSettings(workspace=folder, refresh_attempts=10_000, public_url="http://testserver", _env_file=None)
    app = create_app(chosen, store, clock=Clock(shop.NOW))
    app.state.service.publications.refresh()
    return app, keys.create_key(store, "admin", Grant(role="admin"), created_by="test")[0]


schemathesis.checks.load_all_checks()
CHECKS = schemathesis.checks.CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ]
)


def test_every_answer_is_one_that_was_promised(house) -> None:
    app, token = house
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.explicit, Phase.generate],
        )
        @given(case=operation.as_strategy())
        def holds(case) -> None:
            case.call_and_validate(headers={"authorization": f"Bearer {token}"}, checks=CHECKS)

        holds()


def test_broken_questions_are_refused_as_promised(house) -> None:
    app, token = house
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    for operation in [found.ok() for found in schema.get_all_operations()]:
        if operation.path.startswith("/v1") and not operation.path.endswith("/events"):

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.explicit, Phase.generate],
            )
            @given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
            def holds(case) -> None:
                case.call_and_validate(headers={"authorization": f"Bearer {token}"}, checks=CHECKS)

            try:
                holds()
            except Unsatisfiable:
                # Nothing about it can be broken: it takes no parameters.
                continue
