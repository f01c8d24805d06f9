"""Write image digests into an overlay, or refuse one that has none yet."""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "overlays"
NAMES = ("foreact-pipeline", "foreact-serving")
REFERENCE = re.compile(r"(?P<place>[^@\s]+/(?P<name>foreact-(?:pipeline|serving)))@(?P<digest>sha256:[0-9a-f]{64})")
ENTRY = r"(- name: {name}\n    newName: )(\S+)(\n    digest: )(\S+)"
# What an overlay holds as it is checked out: what runs is known by the cluster, not by the repository.
PLACEHOLDER = "sha256:" + "0" * 64


def write(text: str, images: dict[str, tuple[str, str]]) -> str:
    """Return the kustomization with these places and digests."""
    for name, (place, digest) in images.items():
        text, count = re.subn(ENTRY.format(name=name), rf"\g<1>{place}\g<3>{digest}", text)
        if count != 1:
            raise SystemExit(f"the overlay has no digest of {name} to set")
    return text


def parse(references: list[str]) -> dict[str, tuple[str, str]]:
    """Read references of the form PLACE/NAME@sha256:DIGEST."""
    matches = [REFERENCE.fullmatch(reference) for reference in references]
    images = {match["name"]: (match["place"], match["digest"]) for match in matches if match}
    if len(references) != len(NAMES) or images.keys() != set(NAMES):
        raise SystemExit(
            f"images are set by the digest that a registry gave them, not as {' '.join(references) or 'nothing'}: "
            "push them first, by make image push REGISTRY=HOST"
        )
    if PLACEHOLDER in {digest for _, digest in images.values()}:
        raise SystemExit(f"{PLACEHOLDER} stands for an image that nobody has deployed: deploy first, by make deploy")
    return images


def check(overlay: str, text: str) -> None:
    """Refuse an overlay that would run images which no registry has."""
    if PLACEHOLDER in text:
        raise SystemExit(
            f"overlay {overlay} names no image yet: make image push deploy OVERLAY={overlay} deploys this commit, "
            f"make running OVERLAY={overlay} SET=1 takes over what its cluster runs"
        )


def main(overlay: str, *references: str) -> None:
    """Rewrite one overlay, or check it."""
    file = FOLDER / overlay / "kustomization.yaml"
    if references == ("--check",):
        check(overlay, file.read_text())
        return
    images = parse(list(references))
    file.write_text(write(file.read_text(), images))
    sys.stdout.write("".join(f"{overlay}: {place}@{digest}\n" for place, digest in images.values()))


if __name__ == "__main__":
    main(*sys.argv[1:])
