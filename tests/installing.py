"""Packages with an expert, installed as pip leaves them, without pip."""

from pathlib import Path


def install_expert(folder: Path, name: str, source: str, cls: str = "Expert", package: str = "") -> Path:
    """Write a module and what pip writes beside it; the folder has to be on the path."""
    module = (package or name).replace("-", "_")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(source)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package or name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[foreact.experts]\n{name} = {module}:{cls}\n")
    return folder
