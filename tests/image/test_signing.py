"""`make sign` and `make verify` with a real registry and a key of one's own: nothing else is asked."""

import json
import os
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import httpx2 as httpx
import pytest

from tests.image.engine import ROOT
from tests.parts import require

CONFIG, MANIFEST = ("application/vnd.oci.image." + kind for kind in ("config.v1+json", "manifest.v1+json"))
Make = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return what calls make with two keys for notation, of which "ours" is to be trusted."""
    require("go", "openssl", install="Go 1.26 or newer, and apt-get install openssl")
    settings = tmp_path / "settings/notation/signingkeys.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"keys": [make_key(tmp_path, name) for name in ("ours", "theirs")]}))
    environment = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "settings")}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "--silent", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    return call


def make_key(folder: Path, name: str) -> dict[str, str]:
    """Make a key and its certificate, as notation lists them."""
    key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
    options = [
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=codeSigning",
        "basicConstraints=critical,CA:FALSE",
    ]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-subj", f"/CN={name}/O=example"]
    command += [part for option in options for part in ("-addext", option)]
    subprocess.run([*command, "-keyout", key, "-out", certificate], capture_output=True, check=True)
    return {"name": name, "keyPath": str(key), "certPath": str(certificate)}


def push_image(registry: str, name: str) -> str:
    """Push an image of nothing, and return it by digest."""
    repository = f"http://{registry}/v2/{name}"
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    digest = "sha256:" + sha256(config).hexdigest()
    place = httpx.post(f"{repository}/blobs/uploads/").headers["location"]
    httpx.put(httpx.URL(place).copy_merge_params({"digest": digest}), content=config).raise_for_status()
    described = {"mediaType": CONFIG, "digest": digest, "size": len(config)}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": []}
    body = json.dumps({**manifest, "annotations": {"name": name}})
    pushed = httpx.put(f"{repository}/manifests/1", content=body, headers={"content-type": MANIFEST})
    # Notation calls a registry on this machine without TLS where it is named so.
    return f"{registry.replace('127.0.0.1', 'localhost')}/{name}@{pushed.headers['docker-content-digest']}"


def test_only_what_our_key_signed_is_verified(make: Make, registry: str, tmp_path: Path) -> None:
    tasks, service, foreign = (push_image(registry, name) for name in ("tasks", "service", "foreign"))
    certificate = f"CERTIFICATE={tmp_path / 'ours.pem'}"
    for key, images in (("ours", f"{tasks} {service}"), ("theirs", foreign)):
        signed = make("sign", f"SIGN=--key {key}", f"IMAGES={images}")
        assert signed.returncode == 0, signed.stderr
    verified = make("verify", certificate, f"IMAGES={tasks} {service}")
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout.count("Successfully verified") == 2
    unsigned = push_image(registry, "unsigned")
    for image in (foreign, unsigned):
        refused = make("verify", certificate, f"IMAGES={tasks} {image}")
        assert refused.returncode != 0
        assert image in refused.stderr


def test_without_a_key_or_somebody_to_trust_nothing_is_signed_or_verified(make: Make) -> None:
    assert "by which key" in make("sign", "IMAGES=a b").stderr
    assert "say whose" in make("verify", "IMAGES=a b").stderr
