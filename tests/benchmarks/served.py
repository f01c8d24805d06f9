"""What the serving benchmark loads: `python -m tests.benchmarks.served foreact|bare WORKSPACE PORT`."""

import sys
from pathlib import Path

import uvicorn


def main() -> None:
    what, workspace, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    app = foreact(workspace) if what == "foreact" else bare((workspace / "payload").read_bytes())
    uvicorn.run(app, host="127.0.0.1", port=port, access_log=False, log_level="error")


def foreact(workspace: Path):
    """The service as it is."""
    from foreact.blobs.folder import FolderStore
    from serving.app import create_app
    from serving.settings import ServingSettings

    return create_app(ServingSettings(workspace=workspace, _env_file=None), FolderStore(workspace / "blobs"))


def bare(payload: bytes):
    """FastAPI with one route, no middleware, no dependency, and the payload at hand."""
    from fastapi import FastAPI, Response

    app = FastAPI()

    @app.get("/bare")
    async def route() -> Response:
        return Response(payload, media_type="application/json")

    return app


if __name__ == "__main__":
    main()
