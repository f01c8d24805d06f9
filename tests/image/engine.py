"""A Docker engine of the tests' own, and a base image that needs no registry."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.waiting import until

ROOT = Path(__file__).parents[2]
# Kept between runs, so that only what changed is built again; one engine at a time owns it.
CACHE = Path(os.environ.get("FOREACT_TEST_DOCKER", "/var/tmp/foreact-docker"))
PACKAGES = "python3,python3-venv,ca-certificates"
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
DOCS = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "var/lib/apt/lists")


class Engine:
    """A running dockerd, reached by its own socket; it makes no bridge and touches no firewall."""

    def __init__(self, folder: Path) -> None:
        self.socket = f"unix://{folder}/docker.sock"
        self.environment = {**os.environ, "DOCKER_HOST": self.socket, "DOCKER_BUILDKIT": "0"}

    def docker(
        self, *arguments: str, timeout: float | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run one docker command."""
        done = subprocess.run(
            ["docker", *arguments],
            check=False,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            raise AssertionError(f"docker {' '.join(arguments)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
        return done

    def build(self, target: str, tag: str, base: str, context: Path = ROOT, **arguments: str) -> str:
        """Build one target of the Dockerfile."""
        options = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
        self.docker(
            *("build", "--network", "host", "--target", target, "--tag", tag, "--build-arg", f"BASE={base}"),
            *(*options, str(context)),
        )
        return tag

    def is_up(self) -> bool:
        """Return whether it answers."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.docker("version", check=False, timeout=30).returncode == 0
        return False


@contextlib.contextmanager
def run_engine() -> Iterator[Engine]:
    """Start dockerd on its own folders and stop it afterwards."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (
        (CACHE / "lock").open("w") as lock,
        tempfile.TemporaryDirectory(prefix="foreact-docker-", ignore_cleanup_errors=True) as folder,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        engine = Engine(Path(folder))
        with (CACHE / "dockerd.log").open("w") as log:
            process = subprocess.Popen(
                [
                    *("dockerd", "--data-root", str(CACHE / "data"), "--exec-root", f"{folder}/exec"),
                    *("--pidfile", f"{folder}/pid", "--host", engine.socket, "--bridge", "none"),
                    *("--iptables=false", "--ip6tables=false"),
                ],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            until(lambda: engine.is_up() or process.poll() is not None)
            if process.poll() is not None:
                raise AssertionError(f"dockerd did not start: {(CACHE / 'dockerd.log').read_text()[-3000:]}")
            yield engine
            engine.docker("image", "prune", "--force", "--filter", "until=168h", check=False)
        finally:
            process.terminate()
            process.wait()
            # dockerd leaves its network's namespace mounted.
            subprocess.run(["umount", f"{folder}/exec/netns/default"], check=False, capture_output=True)


def make_base(engine: Engine) -> str:
    """Return a base image made from the packages that this machine itself installs from."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().replace('"', "").splitlines() if "=" in line
    )
    name = f"foreact-test-base:{release['VERSION_CODENAME']}"
    if engine.docker("image", "inspect", name, check=False).returncode:
        with tempfile.TemporaryDirectory(prefix="foreact-base-", dir=CACHE) as folder:
            _bootstrap(engine, Path(folder), release["VERSION_CODENAME"], name)
    return name


def _bootstrap(engine: Engine, folder: Path, codename: str, name: str) -> None:
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    mirror = next(line.split()[1] for line in targets if line.startswith(f"{codename} "))
    root = folder / "root"
    subprocess.run(
        ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", codename, str(root), mirror],
        check=True,
        capture_output=True,
    )
    for part in DOCS:
        shutil.rmtree(root / part, ignore_errors=True)
    # Behind a proxy that signs for others, what this machine trusts the build must trust too.
    bundle = next(Path(path) for path in (os.environ.get("SSL_CERT_FILE", ""), *BUNDLES) if Path(path).is_file())
    shutil.copy(bundle, root / "etc/ssl/certs/ca-certificates.crt")
    trusted = "/etc/ssl/certs/ca-certificates.crt"
    with subprocess.Popen(["tar", "-C", str(root), "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run(
            ["docker", "import", "--change", f"ENV SSL_CERT_FILE={trusted} PIP_CERT={trusted}", "-", name],
            stdin=tar.stdout,
            env=engine.environment,
            check=True,
            capture_output=True,
        )
