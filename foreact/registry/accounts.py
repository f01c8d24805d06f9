"""The accounts that an MLflow server needs, made in its database before it starts, as kustomize/platform/mlflow does.

The administrator's is for people who make accounts. The steps have one of their own, which writes runs and models and
can neither make accounts nor delete what is not its own. Their passwords are set to those of the environment at each
start, so that a secret that was replaced holds from the next start on.
"""

import os
from typing import Any

ROLE, WORKSPACE = "pipelines", "default"
# What the steps write. Whoever makes an experiment or a model may also delete it.
KINDS = ("experiment", "registered_model")


def ensure_accounts(store: Any, admin: tuple[str, str], pipelines: tuple[str, str]) -> None:
    """Make both accounts, or give those that are there these passwords."""
    for (name, password), is_admin in ((admin, True), (pipelines, False)):
        if store.has_user(name):
            store.update_user(name, password=password, is_admin=is_admin)
        else:
            store.create_user(name, password, is_admin=is_admin)
    _ensure_role(store, pipelines[0])


def _ensure_role(store: Any, name: str) -> None:
    roles = {role.name: role for role in store.list_roles([WORKSPACE])}
    role = roles.get(ROLE) or store.create_role(ROLE, WORKSPACE, "What the steps may do")
    granted = {permission.resource_type for permission in store.list_role_permissions(role.id)}
    for kind in KINDS:
        if kind not in granted:
            store.add_role_permission(role.id, kind, "*", "EDIT")
    user = store.get_user(name)
    if role.id not in {each.id for each in store.list_user_roles(user.id)}:
        store.assign_role_to_user(user.id, role.id)


def main() -> None:
    """Make the accounts that the environment names."""
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    names = ("MLFLOW_AUTH_ADMIN", "MLFLOW_PIPELINES")
    missing = [f"{name}_{part}" for name in names for part in ("USERNAME", "PASSWORD") if _read(name, part) == ""]
    if missing:
        raise SystemExit(f"Set {', '.join(missing)}: without them nobody could use this server.")
    store = SqlAlchemyStore()
    store.init_db(os.environ["MLFLOW_BACKEND_STORE_URI"])
    admin, pipelines = ((_read(name, "USERNAME"), _read(name, "PASSWORD")) for name in names)
    ensure_accounts(store, admin, pipelines)


def _read(name: str, part: str) -> str:
    return os.environ.get(f"{name}_{part}", "").strip()


if __name__ == "__main__":
    main()
