"""What somebody outside, or a caller with a key, can do to the others: refused, bounded, and little felt."""

import itertools
import re
import socket
import string
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from foreact.blobs.folder import FolderStore
from serving.auth import keys
from serving.auth.principal import Grant
from serving.connections import SECONDS, allow_files
from tests.benchmarks.beside import Times, measure, small_reads, write_request
from tests.drills.inside import wait
from tests.drills.outcome import Outcome
from tests.drills.serving import Place, run_foreact, serve
from tests.serving import shop

LARGE, ITEMS, DAYS = ("L1", "L2"), 3_000, 28
CONNECTIONS, READERS = 1_010, 100
# What others may feel of it, in milliseconds beyond what this machine makes them wait anyway, and in MiB.
PROBES_WAIT, READS_WAIT, MEMORY = 50.0, 30.0, 100.0
HALF_A_HEAD = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n"
FORM = b"content-type: application/x-www-form-urlencoded\r\ncontent-length: 100\r\n\r\n"
HALF_A_LOGIN = b"POST /login HTTP/1.1\r\nhost: 127.0.0.1\r\n" + FORM + b"account="
Row = tuple[str, str, bool]


def drill(folder: Path, minutes: float = 0.05, stores: int = 1_115) -> Outcome:
    """Be a nuisance in each known way, against the service as it is started, for so long each; look at the others."""
    allow_files(4 * CONNECTIONS)
    publish(FolderStore(folder / "blobs"), stores)
    token, _ = keys.create_key(FolderStore(folder / "blobs"), "nuisance", Grant(role="admin"), created_by="drill")
    viewer, _ = keys.create_key(
        FolderStore(folder / "blobs"), "viewer", Grant(role="viewer", stores=["L1"]), created_by="drill"
    )
    rows: list[Row] = []
    with serve(folder, FOREACT_RUNNER="none") as place:
        place.settle()
        rows += list(be_a_neighbour(place, {"authorization": f"Bearer {token}"}, minutes * 60, stores))
        rows += list(hold_connections(place))
        rows += list(never_read(place, token))
        rows += list(send_odd_headers(place, token, viewer))
        rows += list(try_to_log_in(place))
    rows += list(serve_others_weakly(folder))
    broken = [what for what, _, held in rows if not held]
    told = [(what, result + ("" if held else " (broken)")) for what, result, held in rows]
    seen = f"Not held: {', '.join(broken)}." if broken else "Planners were answered throughout, and saw nothing of it."
    return Outcome("hostile", not broken, told, seen)


def publish(store: FolderStore, stores: int) -> None:
    """Publish two large stores and many small ones."""
    now = datetime.now(UTC)
    as_of = now.date() - timedelta(days=1)
    names = [*LARGE, *(f"S{number:04d}" for number in range(stores - len(LARGE)))]
    tables = {name: shop.make_tables(name, ITEMS if name in LARGE else 3, DAYS, as_of) for name in names}
    shop.publish(store, names, horizon=DAYS, as_of=as_of, generated_at=now, tables=tables, regions={})


def be_a_neighbour(place: Place, nuisance: dict[str, str], seconds: float, stores: int) -> Iterator[Row]:
    """Ask for much, or for nonsense, and time what others ask for."""
    own = {"authorization": f"Bearer {place.token}"}
    packed, page = {**nuisance, "accept-encoding": "gzip"}, {**nuisance, "accept": "text/html"}
    whole = [f"/v1/forecasts?store={store}&limit=100000&end={day}" for store in LARGE for day in last_days()]
    alerts = [f"/v1/alerts?limit={limit}" for limit in range(900, 1_000)]
    many, unknown = "end&" * 16_300, "&".join(f"n{number}" for number in range(9_000))
    letters = "&".join(itertools.islice(itertools.cycle(string.ascii_letters), 32_000))
    quoted = "\\" * 60_000

    def asked(paths: Sequence[str], headers: dict[str, str]) -> list[bytes]:
        return [write_request(path, headers) for path in paths]

    def probes(_: str) -> Iterator[bytes]:
        return itertools.repeat(write_request("/healthz", {}))

    def reads(seed: str) -> Iterator[bytes]:
        return small_reads(LARGE, ITEMS, DAYS, own, seed)

    measured: list[tuple[Callable[[str], Iterator[bytes]], float, dict[str, list[list[bytes]]]]] = [
        (
            probes,
            PROBES_WAIT,
            {
                "nobody else": [],
                "16,300 parameters by nobody": [asked([f"/v1/forecasts?{many}"], {})],
                "16,300 parameters by a caller": [asked([f"/v1/forecasts?{many}"], nuisance)],
                "9,000 unknown names by nobody": [asked([f"/v1/forecasts?{unknown}"], {})],
                "32,000 unknown letters by nobody": [asked([f"/v1/forecasts?{letters}"], {})],
                "32,000 unknown letters by a caller": [asked([f"/v1/forecasts?{letters}"], nuisance)],
                "a quoted cookie of 60,000 bytes by nobody": [asked(["/healthz"], {"cookie": f'a="{quoted}"'})],
                "1,000 unknown names by a caller": [asked([f"/v1/forecasts?{unknown[:5_800]}"], nuisance)],
            },
        ),
        (
            reads,
            READS_WAIT,
            {
                "nobody else": [],
                "one who pages through whole stores": [asked(whole, nuisance)],
                "two of them": [asked(whole, nuisance)] * 2,
                "two of them, compressed": [asked(whole, packed)] * 2,
                "two who load a store as Excel": [asked([f"/stores/{LARGE[0]}/export.xlsx"], nuisance)] * 2,
                "two who ask for alerts": [asked(alerts, nuisance)] * 2,
                f"two who load the overview of {stores:,} stores": [asked(["/"], page)] * 2,
            },
        ),
    ]
    for small, most, loads in measured:
        what = "probes" if small is probes else "one-item reads"
        alone = Times()
        for name, others in loads.items():
            times = measure(place.process.port, small(name), others, seconds)
            alone = alone if others else times
            result = f"p50 {times.quantile(50):.1f}, p99 {times.quantile(99):.1f} ms, of {len(times.milliseconds):,}"
            held = times.statuses == {200} and times.quantile(99) <= most + (alone.quantile(99) if others else 1e9)
            yield f"{what} beside {name}", result, held


def last_days() -> list[str]:
    """Return last days to ask for, so that no answer is one that was given before."""
    return [str(datetime.now(UTC).date() + timedelta(days=days)) for days in range(DAYS - 10, DAYS - 1)]


def is_served(place: Place) -> bool:
    """Return whether probes and small reads are answered, by connections of their own."""
    for path in ("/healthz", "/readyz", "/v1/forecasts?store=L1&item=item-0001", "/login"):
        with place.client(10) as client:
            try:
                if client.get(path).status_code != 200:
                    return False
            except httpx.HTTPError:
                return False
    return True


def hold_connections(place: Place) -> Iterator[Row]:
    """Keep more connections than there may be, each without a request that is whole; send a head without an end."""
    for name, sent in {"idle": b"", "half a head": HALF_A_HEAD, "half a login": HALF_A_LOGIN}.items():
        with ExitStack() as stack:
            held = []
            for _ in range(CONNECTIONS):
                held.append(stack.enter_context(closing(socket.create_connection(("127.0.0.1", place.process.port)))))
                held[-1].sendall(sent)
            begun, served = time.monotonic(), all(is_served(place) for _ in range(5))
            longest = SECONDS["body" if sent == HALF_A_LOGIN else "head"] + 30
            gone = wait(lambda held=held: all(has_ended(one) for one in held), longest)
            took = f"others {'served' if served else 'shut out'}, let go after {time.monotonic() - begun:.0f} s"
            yield f"{CONNECTIONS:,} connections, {name}", took, served and gone
    before, sent_bytes, answered = place.memory(), 0, b""
    with closing(socket.create_connection(("127.0.0.1", place.process.port), 10)) as caller:
        try:
            caller.sendall(HALF_A_HEAD + b"a: ")
            while sent_bytes < 1 << 28:
                sent_bytes += caller.send(bytes([65]) * 65_536)
        except OSError:
            pass
    with closing(socket.create_connection(("127.0.0.1", place.process.port), 10)) as caller:
        caller.sendall(HALF_A_HEAD + b"a: " + bytes([65]) * 70_000 + b"\r\n\r\n")
        answered = caller.recv(64)
    grown = place.memory() - before
    status = answered[9:12].decode()
    result = f"cut after {sent_bytes >> 10:,} KiB, {grown:+.0f} MiB; one of 70,000 bytes: {status}"
    yield "a head without an end", result, sent_bytes < 1 << 25 and grown < MEMORY and status == "431"


def has_ended(caller: socket.socket) -> bool:
    """Return whether the other side has closed a connection."""
    caller.setblocking(False)
    try:
        return caller.recv(1 << 16) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def never_read(place: Place, token: str) -> Iterator[Row]:
    """Ask for whole stores and read nothing of them."""
    whole = f"/v1/forecasts?store={LARGE[0]}&limit=100000"
    made = [
        keys.create_key(place.store, f"reader {number}", Grant(role="viewer"), created_by="drill")[0]
        for number in range(READERS)
    ]
    with place.client() as client:
        wait(lambda: client.get("/v1/stores", headers={"authorization": f"Bearer {made[-1]}"}).status_code == 200)
    before = place.memory()
    with ExitStack() as stack:
        for key in made:
            caller = stack.enter_context(closing(socket.create_connection(("127.0.0.1", place.process.port))))
            caller.sendall(write_request(whole, {"authorization": f"Bearer {key}"}))
        served = all(is_served(place) for _ in range(5))
        most = place.memory()
    back = wait(lambda: place.memory() < before + MEMORY, 30)
    result = f"{before:.0f} MiB before, {most:.0f} meanwhile, {place.memory():.0f} after"
    yield f"{READERS} callers who read nothing", result, served and back
    with ExitStack() as stack:
        mine = []
        for _ in range(READERS):
            mine.append(stack.enter_context(closing(socket.create_connection(("127.0.0.1", place.process.port), 60))))
            mine[-1].sendall(write_request(whole, {"authorization": f"Bearer {token}"}))
        statuses = [one.recv(12)[9:].decode() for one in mine]
    refused = statuses.count("429")
    yield (
        "one caller who reads nothing, 100 times",
        f"{refused} answered 429",
        refused > 0
        and set(statuses)
        <= {
            "200",
            "429",
        },
    )


def send_odd_headers(place: Place, token: str, viewer: str) -> Iterator[Row]:
    """Repeat what may be said once, and say what makes no sense."""
    both = [("authorization", f"Bearer {one}") for one in (token, viewer)]
    once = {"authorization": f"Bearer {viewer}"}
    with httpx.Client(base_url=place.url, timeout=60) as client:

        def status(path: str, headers: Any, method: str = "GET") -> int:
            return client.request(method, path, headers=headers).status_code

        repeated = [status("/v1/stores", headers) for headers in (both, both[::-1])]
        seen = len(client.get("/v1/stores", headers=once).json()["stores"])
        yield (
            "two bearers in one request",
            f"{repeated}, then one store to who sees one: {seen}",
            (repeated == [400, 400] and seen == 1),
        )
        hosts = [status(path, {**once, "host": "evil.example"}) for path in ("/metrics", "/login", "/v1/stores")]
        yield "another host's name", f"{hosts}", set(hosts) == {400}
        odd = ["http://[", "//\u2100", "x" * 5_000, "null"]
        origins = [status("/login", {"origin": text.encode()}, "POST") for text in odd]
        targets = [
            client.get("/login", params={"target": text[:2_000]}).status_code for text in (*odd, "//[", "\ufffe")
        ]
        yield "odd origins and targets", f"{origins}, {targets}", set(origins) == {403} and set(targets) == {200}


def try_to_log_in(place: Place) -> Iterator[Row]:
    """Use up others' tries from another site, pretend to be many, and use a cookie after its logout."""
    with httpx.Client(base_url=place.url, timeout=60) as client:
        link = re.search(r"/login/once\?token=\S+", place.process.log.read_text())
        assert link is not None
        elsewhere = {"sec-fetch-site": "cross-site"}
        tried = {client.get("/login/once?token=guess", headers=elsewhere).status_code for _ in range(50)}
        cookie = {"cookie": client.get(link[0]).headers["set-cookie"].partition(";")[0]}
        yield "50 tries from another site", f"{tried}, then the right link", tried == {401}
        page = client.get("/", headers={**cookie, "accept": "text/html"}).text
        csrf = page.partition('name="csrf" content="')[2].partition('"')[0]
        ended = client.post("/logout", data={"csrf": csrf}, headers=cookie).status_code
        client.cookies.clear()
        after = client.get("/v1/stores", headers=cookie).status_code
        yield "a copied cookie after its logout", f"{after}", (ended, after) == (303, 401)
        wrong = {"account": "demo", "password": "guess"}
        statuses = [
            client.post("/login", data=wrong, headers={"x-forwarded-for": f"198.51.100.{number}"}).status_code
            for number in range(20)
        ]
        yield "20 guesses in others' names", f"{statuses.count(401)} tried, then 429", statuses[-1] == 429


def serve_others_weakly(folder: Path) -> Iterator[Row]:
    """Let other machines in without a token for the metrics."""
    settings = {"FOREACT_SESSION_SECRET": "s" * 40, "FOREACT_PUBLIC_URL": "https://foreact.example"}
    done = run_foreact("serve", "--host", "0.0.0.0", "--workspace", str(folder), **settings)
    told = done.stderr.strip().removeprefix("foreact: ")
    yield (
        "metrics for all without a token",
        f"exit {done.returncode}: {told}",
        (done.returncode == 1 and "FOREACT_METRICS_TOKEN" in told),
    )
