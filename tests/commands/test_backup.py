"""Backups on the command line."""

from pathlib import Path

from tests.commands.conftest import run_foreact
from tests.foreact.test_backups import publish


def test_there_and_back(tmp_path: Path) -> None:
    publish(tmp_path / "old", "r1", 1)
    done = run_foreact("backup", str(tmp_path), "--workspace", str(tmp_path / "old"))
    assert done.returncode == 0, done.stderr
    [backup] = tmp_path.glob("foreact-*.tar")
    assert done.stdout.startswith(f"{backup}: 3 files, publication 1, as of ")
    assert backup.stat().st_mode & 0o077 == 0
    new = str(tmp_path / "new")
    done = run_foreact("restore-from", str(backup), "--workspace", new)
    assert done.stdout.startswith(f"{new} is as it was: 3 files, publication 1, as of "), done.stderr
    assert run_foreact("publications", "list", "--workspace", new).stdout.startswith("Version 1: ")
    again = run_foreact("restore-from", str(backup), "--workspace", new)
    assert again.returncode == 1
    assert again.stderr.startswith(f"foreact: '{new}' is not empty: ")


def test_a_password_is_not_for_the_command_line(tmp_path: Path) -> None:
    account = ":".join(("mlflow", "secret"))
    done = run_foreact("backup", str(tmp_path), "--database", f"postgresql://{account}@127.0.0.1/mlflow")
    assert done.returncode == 1
    assert "PGPASSWORD" in done.stderr
    assert "secret" not in done.stderr
