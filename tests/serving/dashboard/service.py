"""The service of the browser tests: `python -m tests.serving.dashboard.service WORKSPACE PORT PASSWORD`."""

import sys
from pathlib import Path

import uvicorn

from foreact.blobs.folder import FolderStore
from serving.app import create_app
from serving.auth.local import LocalLogin
from serving.settings import ServingSettings
from tests.serving.refreshes.runs import command, embedded


def main() -> None:
    workspace, port, password = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    store, how = FolderStore(workspace / "blobs"), workspace / "how"
    app = create_app(
        ServingSettings(workspace=workspace, poll_seconds=0.3, _env_file=None),
        store,
        runner=embedded(workspace, lambda refresh: command(store, workspace, refresh, how.read_text())),
        local=LocalLogin(password),
    )
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
