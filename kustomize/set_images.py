"""Write image digests into an overlay, given ones or another overlay's; and an overlay's into its pipelines."""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).parent / "overlays"
COMPILED = Path(__file__).parent.parent / "compiled"
NAMES = ("foreact-pipeline", "foreact-serving")
REFERENCE = re.compile(r"(?P<place>[^@\s]+/(?P<name>foreact-(?:pipeline|serving)))@(?P<digest>sha256:[0-9a-f]{64})")
ENTRY = r"(- name: {name}\n    newName: )(\S+)(\n    digest: )(\S+)"


def read(text: str) -> dict[str, tuple[str, str]]:
    """Return each image's place and digest in a kustomization."""
    found = {name: re.search(ENTRY.format(name=name), text) for name in NAMES}
    return {name: (match.group(2), match.group(4)) for name, match in found.items() if match}


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
    if len(matches) != len(NAMES) or None in matches:
        raise SystemExit("push first: the images have no digest of a registry yet")
    return {match["name"]: (match["place"], match["digest"]) for match in matches if match}


def write_pipelines(folder: Path, images: dict[str, tuple[str, str]]) -> None:
    """Write the compiled pipelines with the overlay's image, byte for byte as the serving image was built with."""
    if "foreact-pipeline" not in images:
        raise SystemExit("the overlay names no digest: compiled/ is what its tasks run")
    place, digest = images["foreact-pipeline"]
    folder.mkdir(parents=True, exist_ok=True)
    for file in sorted(COMPILED.glob("*.yaml")):
        text = re.sub(r"(?m)image: foreact-pipeline:dev$", f"image: {place}@{digest}", file.read_text())
        (folder / file.name).write_text(text)
        sys.stdout.write(f"{folder / file.name}: {place}@{digest}\n")


def main(overlay: str, *how: str) -> None:
    """Rewrite one overlay, or write its pipelines."""
    file = FOLDER / overlay / "kustomization.yaml"
    if how[:1] == ("--pipelines",):
        write_pipelines(Path(how[1]), read(file.read_text()))
        return
    match list(how):
        case ["--like", other]:
            images = read((FOLDER / other / "kustomization.yaml").read_text())
        case references:
            images = parse(references)
    file.write_text(write(file.read_text(), images))
    sys.stdout.write("".join(f"{overlay}: {place}@{digest}\n" for place, digest in images.values()))


if __name__ == "__main__":
    main(*sys.argv[1:])
