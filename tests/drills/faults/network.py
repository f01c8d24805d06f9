"""Faults between the service and its blob store: refusals, lies, a certificate's end, no names."""

import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

import yaml

from foreact.blobs import connect
from foreact.blobs.azure import AzureStore
from foreact.settings import PlaceSettings
from tests.drills.faults.row import Row, say_seen, short, was_served
from tests.drills.front import Front, serve_front
from tests.drills.inside import wait
from tests.drills.planner import asking, read_state, wait_for_answers
from tests.drills.retailer import Retailer
from tests.drills.serving import run_foreact, serve
from tests.foreact.blobs.entra import (
    CLIENT,
    LOGIN,
    TENANT,
    Certificate,
    Entra,
    make_certificate,
    serve_entra,
    serve_proxy,
)
from tests.services import ACCOUNT, Azurite, serve_azurite
from tests.serving import shop

BLOB = f"{ACCOUNT}.blob.core.windows.net"
# A name that is looked up, in a file of hosts that the drill can change for the service alone.
NAME = "localhost"
DEPLOYMENT = Path(__file__).parents[3] / "kustomize/base/serving/deployment.yaml"


def through(front: Front, azurite: Azurite) -> dict[str, str]:
    """Return the settings of a container that is reached through a front."""
    port, other = f":{azurite.process.port}/", f":{front.port}/"
    return {name: text.replace(port, other) for name, text in azurite.settings("forecasts").items()}


def refuse(retailer: Retailer, front: Front, minutes: float) -> Row:
    """Answer 503 for some minutes, from the middle of a run on."""
    before = retailer.check()
    with (
        serve(retailer.workspace, **retailer.settings, FOREACT_POLL_SECONDS="0.5") as service,
        asking(service, retailer.pages) as seen,
    ):
        told = retailer.events()
        process = retailer.start()
        reached = retailer.wait_for('"step": "train", "state": "started"', told, process)
        front.refuses, begun = 503, time.monotonic()
        noticed = wait(lambda: read_state(service)["status"] == "degraded", 60)
        after = time.monotonic() - begun
        said = process.communicate(timeout=900)[1].strip().splitlines()[-1:]
        failed_after = time.monotonic() - begun
        code, begun_next = retailer.run()
        with service.client() as client:
            refused = client.post(f"/v1/stores/{retailer.stores[0]}/refreshes")
        wait(lambda: time.monotonic() - begun > minutes * 60, minutes * 60 + 1)
        wait_for_answers(seen, len(seen.seconds) + len(retailer.pages))
        lasted = time.monotonic() - begun
        front.refuses = 0
        ready = wait(lambda: read_state(service)["status"] == "ready", 60)
        last_code, last_said = retailer.run()
        version = retailer.check()
        shown = wait(lambda: read_state(service)["publication"] == version, 60)
        # The service finds out how the run ended that could not record it.
        wait(lambda: "running" not in retailer.ledger(), 90)
        runs = retailer.ledger()
    held = reached and noticed and was_served(seen) and process.returncode == 1 and code == 1 and ready and shown
    held &= last_code == 0 and version == before + 1 and refused.status_code == 503 and "running" not in runs
    words = [
        f"for {lasted / 60:.3g} minutes: {say_seen(seen)}; marked after {after:.1f} s",
        f"the run under way ended after {failed_after:.0f} s: {short(retailer, ''.join(said))}",
        f"the next: {short(retailer, begun_next)}",
        f"a refresh: {refused.status_code} {refused.json()['error']['message'][:120]}",
        f"afterwards {'' if last_code == 0 else short(retailer, last_said)} version {version}, runs {', '.join(runs)}",
    ]
    return Row("the blob store answers 503 in mid-run", held, "; ".join(words))


def lie(retailer: Retailer, front: Front) -> Row:
    """Answer lists from memory and tear what is read, while a run works and the service is started anew."""
    before = retailer.check()
    front.lied = 0
    with (
        serve(retailer.workspace, **retailer.settings, FOREACT_POLL_SECONDS="0.5") as service,
        asking(service, retailer.pages) as seen,
    ):
        front.stale = True
        code, said = retailer.run()
        stale, version = front.lied, retailer.check()
        front.stale = False
        # What is read for models and numbers comes in part, the manifest comes spoilt.
        front.tears, front.spoils = ("/data/",), ("manifest.json",)
        torn_code, torn_said = retailer.run()
        degraded = wait(lambda: read_state(service)["status"] == "degraded", 60)
        sentence = read_state(service)["refused"] or read_state(service)["unreachable"] or ""
        front.tears, front.spoils = (), ()
        torn = retailer.check()
        last_code, last_said = retailer.run()
        last = retailer.check()
        shown = wait(lambda: read_state(service).items() >= {"status": "ready", "publication": last}.items(), 60)
        wait_for_answers(seen, len(seen.seconds) + len(retailer.pages))
    runs = retailer.ledger()
    newest = retailer.manifest().stores[retailer.stores[0]].objects["totals"].name
    front.spoils = (newest.removeprefix("forecasts/data/"),)
    with serve(retailer.workspace, **retailer.settings, FOREACT_POLL_SECONDS="0.5") as service:
        service.settle()
        started = read_state(service)
    front.spoils = ()
    held = code == 0 and version == before + 1 and stale > 0 and degraded and was_served(seen)
    held &= torn == version + (torn_code == 0) and last_code == 0 and last == torn + 1 and shown
    held &= "running" not in runs and retailer.reader.list_versions() == list(range(1, last + 1))
    words = [
        f"{front.lied:,} lies: {say_seen(seen)}",
        f"lists from memory: the run published version {version}" if code == 0 else short(retailer, said),
        f"torn and spoilt: the run {f'published version {torn}' if torn_code == 0 else short(retailer, torn_said)}, "
        f"the service kept its version: {sentence}",
        f"afterwards {f'version {last}' if last_code == 0 else short(retailer, last_said)}, runs {', '.join(runs)}",
        f"a service started on a spoilt object: {started['status']}, {started['refused']}",
    ]
    return Row("it lies: stale lists, torn reads", held, "; ".join(words))


@contextmanager
def _identity(folder: Path, certificate: Certificate) -> Iterator[tuple[Azurite, dict[str, str]]]:
    """Serve the account by its own name and TLS, and Entra beside it; gives the environment of a pod."""
    token_file = folder / "token"
    token_file.write_text("first")
    tls = ["--oauth", "basic", "--cert", str(certificate.certificate), "--key", str(certificate.key)]
    with ExitStack() as stack:
        azurite = stack.enter_context(serve_azurite(folder, *tls))
        port = stack.enter_context(serve_entra(Entra({"first"}), certificate))
        proxy = stack.enter_context(serve_proxy({LOGIN: port, BLOB: azurite.process.port}))
        environment = {
            "AZURE_CLIENT_ID": CLIENT,
            "AZURE_TENANT_ID": TENANT,
            "AZURE_AUTHORITY_HOST": f"https://{LOGIN}/",
            "AZURE_FEDERATED_TOKEN_FILE": str(token_file),
            "HTTPS_PROXY": proxy,
            "NO_PROXY": "127.0.0.1",
            "FOREACT_BLOB_URL": f"https://{BLOB}/forecasts",
            "FOREACT_POLL_SECONDS": "0.5",
        }
        yield azurite, environment


def end_certificate(folder: Path) -> Row:
    """Let the blob store's certificate end, and renew it."""
    workspace, shown = folder / "workspace", folder / "shown"
    for name in (workspace, shown, folder / "good", folder / "over"):
        name.mkdir()
    good = make_certificate(folder / "good", LOGIN, BLOB)
    over = make_certificate(folder / "over", LOGIN, BLOB, good_for=timedelta(hours=-1))
    authorities = folder / "authorities.pem"
    authorities.write_bytes(good.certificate.read_bytes() + over.certificate.read_bytes())
    certificate = Certificate(shown / "certificate.pem", shown / "key.pem")

    def show(other: Certificate) -> None:
        shutil.copy(other.certificate, certificate.certificate)
        shutil.copy(other.key, certificate.key)

    show(good)
    with _identity(folder, certificate) as (azurite, environment):
        environment["REQUESTS_CA_BUNDLE"] = str(authorities)
        with mock.patch.dict(os.environ, environment):
            store = connect(PlaceSettings(workspace=workspace))
            assert isinstance(store, AzureStore)
            store.client.create_container()
            shop.publish(store, ["S1"], generated_at=datetime.now(UTC))
            with (
                serve(workspace, **environment) as service,
                asking(service, ["/v1/totals?store=S1", "/", "/stores/S1"]) as seen,
            ):
                azurite.process.stop()
                show(over)
                azurite.process.start()
                noticed = wait(lambda: "certificate" in (read_state(service)["unreachable"] or ""), 60)
                sentence = read_state(service)["unreachable"] or ""
                wait_for_answers(seen, len(seen.seconds) + 20)
                run = run_foreact("run", "retrain-all", "--history", "x.csv", "--workspace", str(workspace))
                azurite.process.stop()
                show(good)
                azurite.process.start()
                back = wait(lambda: read_state(service)["status"] == "ready", 60)
    said = run.stderr.strip().splitlines()[-1]
    held = noticed and back and was_served(seen) and run.returncode == 1 and "certificate" in said
    words = [
        say_seen(seen),
        f"the service: {sentence}",
        f"a run: {said}",
        "renewed: ready" if back else "never ready again",
    ]
    return Row("TLS: the blob store's certificate has ended", held, "; ".join(words))


def _read_options() -> str:
    """Return the line of a resolver's file by which the service's pods look names up."""
    pod = yaml.safe_load(DEPLOYMENT.read_text())["spec"]["template"]["spec"]
    return " ".join(["options", *(f"{each['name']}:{each['value']}" for each in pod["dnsConfig"]["options"])])


def lose_names(retailer: Retailer, azurite: Azurite, folder: Path) -> Row:
    """Let no name be resolved any more, by a resolver that never answers, in the service and in a run."""
    hosts, resolver = folder / "hosts", folder / "resolv.conf"
    known = f"127.0.0.1 {NAME}\n"
    hosts.write_text(known)
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.53", 53))
        resolver.write_text(f"nameserver 127.0.0.53\n{_read_options()}\n")
        with serve_front(Front(azurite.process.port)) as front:
            place = {name: text.replace("127.0.0.1", NAME) for name, text in through(front, azurite).items()}
            mounts = f"mount --bind {hosts} /etc/hosts && mount --bind {resolver} /etc/resolv.conf"
            inside = ["unshare", "--mount", "sh", "-ec", f'{mounts} && exec "$@"', "sh"]
            retailer.prefix = inside
            environment = {f"FOREACT_{name.upper()}": value for name, value in place.items()}
            before = retailer.check()
            with (
                serve(retailer.workspace, *inside, **environment, FOREACT_POLL_SECONDS="0.5") as service,
                asking(service, retailer.pages) as seen,
            ):
                hosts.write_text("")
                front.drop()
                noticed = wait(lambda: read_state(service)["status"] == "degraded", 90)
                sentence = read_state(service)["unreachable"] or ""
                wait_for_answers(seen, len(seen.seconds) + 20)
                retailer.environment = environment
                code, said = retailer.run()
                hosts.write_text(known)
                back = wait(lambda: read_state(service)["status"] == "ready", 90)
                last_code, last_said = retailer.run()
            retailer.environment, retailer.prefix = {}, []
            after = retailer.check()
        held = noticed and back and was_served(seen) and (code, last_code, after) == (1, 0, before + 1)
        words = [
            say_seen(seen),
            f"the service: {sentence}",
            f"a run: {short(retailer, said)}",
            f"afterwards {f'version {after}' if last_code == 0 else short(retailer, last_said)}",
        ]
        return Row("DNS: no name is resolved", held, "; ".join(words))
    return Row("DNS: no name is resolved", False, "not seen: nobody here may listen on port 53")
