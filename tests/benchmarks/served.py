"""What the serving benchmark loads: `python -m tests.benchmarks.served foreact|bare|mlflow|loading WORKSPACE PORT`."""

import os
import sys
from datetime import date
from pathlib import Path

from serving.connections import make_server


def main() -> None:
    what, workspace, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if what == "mlflow":
        serve_by_mlflow(workspace, port)
    app = {"foreact": foreact, "bare": bare, "loading": loading}[what](workspace)
    make_server(app, host="127.0.0.1", port=port, log_level="error").run()


def foreact(workspace: Path):
    """The service as it is."""
    from foreact.blobs.folder import FolderStore
    from serving.app import create_app
    from serving.settings import ServingSettings

    return create_app(ServingSettings(workspace=workspace, _env_file=None), FolderStore(workspace / "blobs"))


def bare(workspace: Path):
    """FastAPI with one route, no middleware, no dependency, and the payload at hand."""
    from fastapi import FastAPI, Response

    app = FastAPI()
    payload = (workspace / "payload").read_bytes()

    @app.get("/bare")
    async def route() -> Response:
        return Response(payload, media_type="application/json")

    return app


def loading(workspace: Path):
    """FastAPI with one route that loads a store's model, forecasts and picks one item's rows."""
    from fastapi import FastAPI

    from foreact.demo import write_demo
    from foreact.forecasting import StoreModel, train_store
    from tests.shops import take_in

    demo = write_demo(workspace / "demo", date(2026, 3, 31), stores=1, items=50)
    dataset = take_in(workspace / "dataset", str(demo.history), *(str(path) for path in demo.known))
    panel = dataset.pack_store(dataset.stores[0]).make_panel()
    model = train_store(panel).model
    assert model is not None
    model.save(workspace / "model")
    app = FastAPI()

    @app.get("/forecast")
    def route() -> dict[str, list[float]]:
        forecast = StoreModel.load(workspace / "model").predict(panel)
        return {name: getattr(forecast, name)[0].tolist() for name in ("mean", "p10", "p50", "p90")}

    return app


def serve_by_mlflow(workspace: Path, port: int) -> None:
    """Become MLflow's model server, over a model that holds a store's forecasts and looks an item's rows up."""
    import mlflow.pyfunc
    import numpy as np
    import pandas as pd

    folder = workspace / "looked-up"
    if not folder.exists():
        items = np.repeat([f"item-{number:04d}" for number in range(3_049)], 28)
        numbers = {name: np.arange(len(items), dtype=np.float32) for name in ("mean", "p10", "p50", "p90")}
        (workspace / "rows.parquet").write_bytes(pd.DataFrame({"item": items, **numbers}).to_parquet())
        mlflow.pyfunc.save_model(
            folder,
            python_model=Path(__file__).with_name("lookup.py"),
            artifacts={"rows": str(workspace / "rows.parquet")},
            pip_requirements=[],
        )
    options = ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    os.execv(sys.executable, [sys.executable, "-m", "mlflow", "models", "serve", "--model-uri", str(folder), *options])


if __name__ == "__main__":
    main()
