"""What is lost comes back: a database as of a moment, deleted blobs, a workspace, a region; each with its minutes."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg2
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import ContainerClient

from foreact.registry import model_name
from foreact.registry.client import make_client
from tests.drills.inside import wait
from tests.drills.outcome import Outcome
from tests.drills.planner import asking, read_state, wait_for_answers
from tests.drills.retailer import Retailer, make
from tests.drills.serving import Place, Seen, run_foreact, serve
from tests.parts import require
from tests.services import Azurite, Process, hold_port, serve_azurite, serve_mlflow

COLUMNS = ("lost", "restored by", "minutes", "missing after", "planners meanwhile")
CONTAINER = "forecasts"
# How many answers planners get, at least, while something is lost.
ANSWERS = 40


def drill(folder: Path) -> Outcome:
    """Lose each of them and get it back."""
    rows, held = [], True
    for restore in (restore_database, restore_blobs, restore_workspace, restore_region):
        (folder / restore.__name__).mkdir()
        row, good = restore(folder / restore.__name__)
        rows.append(row)
        held &= good
    return Outcome("restores", held, rows, "Planners were answered throughout, where a service was left.", COLUMNS)


def restore_database(folder: Path) -> tuple[tuple[str, ...], bool]:
    """Lose a table of MLflow's PostgreSQL, and restore the database to a moment before, by the archive of its log."""
    with (
        tempfile.TemporaryDirectory(prefix="foreact-postgres-") as place,
        serve_azurite(folder) as azurite,
        _Database(Path(place)) as database,
        serve_mlflow(database.address, azurite, folder) as server,
    ):
        retailer = make(folder / "shop")
        retailer.environment = {"FOREACT_MLFLOW_URI": server.url}
        _run(retailer)
        database.copy()
        _run(retailer)
        before = _count_versions(server, retailer)
        moment = datetime.now(UTC)
        _run(retailer)
        later = _count_versions(server, retailer)
        with serve(retailer.workspace) as service, asking(service, retailer.pages) as seen:
            database.execute("DROP TABLE model_versions CASCADE")
            begun = time.monotonic()
            database.restore(moment)
            restored = wait(lambda: _count_versions(server, retailer) == before, 120)
            minutes = (time.monotonic() - begun) / 60
            version = retailer.check()
            code, said = retailer.run()
            after = retailer.check()
    good = restored and (before, later, code, after) == (2, 3, 0, version + 1) and _served(seen)
    missing = (
        f"{later - before} of {later} versions and their figures, made after the moment; "
        f"its model lies beside the publication; next night {'published' if code == 0 else said}"
    )
    row = ("MLflow's PostgreSQL: a table dropped", "base backup and archived log, to a moment", f"{minutes:.1f}")
    return (*row, missing, _say(seen)), good


def restore_blobs(folder: Path) -> tuple[tuple[str, ...], bool]:
    """Delete everything that is published, and have it back under the same names."""
    with serve_azurite(folder) as azurite, _container(azurite) as client:
        retailer = make(folder / "shop", **azurite.settings(CONTAINER))
        kept = {name: client.download_blob(name).readall() for name in client.list_blob_names()}
        with (
            serve(folder, **retailer.settings, FOREACT_POLL_SECONDS="0.5") as service,
            asking(service, retailer.pages) as seen,
        ):
            whole = _read_totals(service, retailer)
            for name in kept:
                client.delete_blob(name)
            # By what it has in memory, until it can see that something is gone.
            noticed = wait(lambda: read_state(service)["refused"], 60)
            wait_for_answers(seen, len(seen.seconds) + ANSWERS)
            begun = time.monotonic()
            undeletes = _try_undelete(client, next(iter(kept)))
            for name, data in kept.items():
                client.upload_blob(name, data, overwrite=True)
            back = wait(lambda: read_state(service)["status"] == "ready", 60)
            minutes = (time.monotonic() - begun) / 60
            same = _read_totals(service, retailer) == whole
        code, said = retailer.run()
        version = retailer.check()
    good = bool(noticed) and back and same and code == 0 and version == 2 and _served(seen)
    missing = f"nothing; the next run {'published' if code == 0 else said}"
    how = f"the same bytes under the same names, as an undelete does; {undeletes}"
    return ("every blob of the container", how, f"{minutes:.1f}", missing, _say(seen)), good


def restore_workspace(folder: Path) -> tuple[tuple[str, ...], bool]:
    """Back a workspace up while a run works and the service serves, lose it, and restore it in another folder."""
    retailer = make(folder / "shop")
    old, backup = retailer.workspace, folder / "backup.tar"
    with serve(old) as service, asking(service, retailer.pages) as seen:
        whole = _read_totals(service, retailer)
        before = retailer.events()
        process = retailer.start()
        retailer.wait_for('"step": "train", "state": "started"', before, process)
        saved = run_foreact("backup", str(backup), "--workspace", str(old))
        process.communicate(timeout=600)
        token = service.token
    shutil.rmtree(old)
    begun = time.monotonic()
    retailer.workspace = folder / "another machine"
    restored = run_foreact("restore-from", str(backup), "--workspace", str(retailer.workspace))
    with serve(retailer.workspace) as service:
        service.settle()
        minutes = (time.monotonic() - begun) / 60
        service.token = token
        same = _read_totals(service, retailer) == whole
    version = retailer.check()
    code, said = retailer.run()
    after = retailer.check()
    good = (saved.returncode, restored.returncode, code) == (0, 0, 0) and same and after == version + 1
    good &= _served(seen)
    missing = (
        f"the run that was under way; keys and models are there; the next run {'published' if code == 0 else said}"
    )
    how = "`foreact backup` in mid-run, `foreact restore-from` in another folder"
    return ("a workspace", how, f"{minutes:.1f}", missing, f"{_say(seen)}; the same numbers after"), good


def restore_region(folder: Path) -> tuple[tuple[str, ...], bool]:
    """Lose the account whose second copy has the newest manifest, but not yet all objects that it names."""
    for name in ("first", "second"):
        (folder / name).mkdir()
    with serve_azurite(folder / "first") as first, serve_azurite(folder / "second") as second:
        with _container(first) as here, _container(second) as there:
            retailer = make(folder / "shop", stores=2, **first.settings(CONTAINER))
            _copy(here, there)
            _run(retailer)
            late = retailer.stores[-1]
            newest = retailer.manifest().stores[late].run
            _copy(here, there, but=f"{newest}/{late}")
        first.process.stop()
        begun = time.monotonic()
        retailer.place = second.settings(CONTAINER)
        with (
            serve(folder, **retailer.settings, FOREACT_POLL_SECONDS="0.5") as service,
            asking(service, retailer.pages) as seen,
        ):
            minutes = (time.monotonic() - begun) / 60
            state = read_state(service)
            with service.client() as client:
                runs = {
                    store: client.get(f"/v1/totals?store={store}").json()["stores"][store]["run"]
                    for store in retailer.stores
                }
            code, said = retailer.run()
            ready = {"status": "ready", "publication": 3, "refused": None}
            fresh = wait(lambda: read_state(service).items() >= ready.items())
        version = retailer.check()
    held_back = [store for store, run in runs.items() if run != newest]
    good = held_back == [late] and state["publication"] == 2 and code == 0 and fresh and version == 3 and _served(seen)
    missing = (
        f"the last publication of {len(held_back)} of {len(runs)} stores, which showed the one before, marked; "
        f"the next run {'published all' if code == 0 else said}"
    )
    how = "the second copy, a publication behind in one store, by a service that was started there"
    return ("the region of the blob store", how, f"{minutes:.1f}", missing, _say(seen)), good


class _Database:
    """A PostgreSQL that archives its log, and can be put back to a moment."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, hold_port()
        self.archive, self.base = folder / "archive", folder / "base"
        self.address = f"postgresql+psycopg2://foreact@127.0.0.1:{self.port}/postgres"
        self._as: list[str] = []
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody", "nogroup")
            self._as = ["--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        self._process: Process | None = None

    def __enter__(self) -> "_Database":
        self._call("mkdir", str(self.archive))
        self._call(_find("initdb"), "-D", str(self.folder / "data"), "-U", "foreact", "--auth=trust", "--no-sync")
        self._start(self.folder / "data")
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.stop()

    def copy(self) -> None:
        """Take a base backup."""
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "foreact"]
        self._call(_find("pg_basebackup"), *place, "-D", str(self.base), "-c", "fast")

    def execute(self, statement: str) -> None:
        """Execute a statement, whatever it destroys."""
        with psycopg2.connect(self.address.replace("+psycopg2", "")) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()

    def restore(self, moment: datetime) -> None:
        """Put the base backup in the place of the database and replay the log up to a moment."""
        assert self._process is not None
        self._process.stop()
        self._call("touch", str(self.base / "recovery.signal"))
        self._start(
            self.base,
            f"restore_command=cp {self.archive}/%f %p",
            f"recovery_target_time={moment.isoformat()}",
            "recovery_target_action=promote",
        )

    def _start(self, data: Path, *more: str) -> None:
        archive = f"archive_command=test ! -f {self.archive}/%f && cp %p {self.archive}/%f"
        place = ["listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories="]
        options = [*place, "archive_mode=on", archive, *more]
        command = [_find("postgres"), "-D", str(data), *(part for option in options for part in ("-c", option))]
        log = self.folder / "postgres.log"
        self._process = Process(command, self.port, log, options=self._as, ends_by=signal.SIGINT)
        self._process.start()

    def _call(self, *command: str) -> None:
        [setpriv] = require("setpriv", install="apt-get install util-linux")
        subprocess.run([setpriv, *self._as, *command], check=True, capture_output=True, cwd="/")


def _find(name: str) -> str:
    """Return a program of PostgreSQL's server."""
    folders = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which(name, path=os.pathsep.join([*folders, os.environ.get("PATH", "")]))
    if found is None:
        raise RuntimeError(f"needs {name}: apt-get install postgresql")
    return found


@contextmanager
def _container(azurite: Azurite) -> Iterator[ContainerClient]:
    with ContainerClient.from_connection_string(azurite.connection_string, CONTAINER) as client:
        client.create_container()
        yield client


def _copy(here: ContainerClient, there: ContainerClient, but: str = "/") -> None:
    """Copy what the other does not have yet, as the second region gets it, but for names that hold a text."""
    for name in here.list_blob_names():
        if but == "/" or but not in name:
            there.upload_blob(name, here.download_blob(name).readall(), overwrite=True)


def _try_undelete(client: ContainerClient, name: str) -> str:
    try:
        client.get_blob_client(name).undelete_blob()
    except HttpResponseError as error:
        return f"the call itself is not seen, for Azurite answers it {error.status_code}"
    return "undeleted by the emulator"


def _run(retailer: Retailer) -> None:
    code, said = retailer.run()
    if code:
        raise RuntimeError(said)


def _count_versions(server: Process, retailer: Retailer) -> int:
    """Return how many versions the first store has, or -1 while the registry does not answer."""
    try:
        return len(make_client(server.url).search_model_versions(f"name = '{model_name(retailer.stores[0])}'"))
    except Exception:
        return -1


def _read_totals(service: Place, retailer: Retailer) -> Any:
    with service.client() as client:
        answer = client.get(retailer.pages[0])
    return json.loads(answer.text)["rows"] if answer.status_code == 200 else answer.status_code


def _served(seen: Seen) -> bool:
    return set(seen.statuses) == {"200"}


def _say(seen: Seen) -> str:
    return ", ".join(f"{status}: {count:,}" for status, count in sorted(seen.statuses.items()))
