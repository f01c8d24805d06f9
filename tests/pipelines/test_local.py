"""Where the tasks of a run on this machine keep temporary files."""

import fcntl
import os
import tempfile
from pathlib import Path

import pytest

from pipelines.local import SCRATCH, make_scratch


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_temporary_files_go_with_the_run_however_it_ends(place: Path) -> None:
    def stopped_run() -> None:
        with make_scratch() as folder:
            assert os.environ["TMPDIR"] == str(folder)
            assert folder.parent == place
            assert Path(tempfile.mkdtemp()).parent == folder
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped_run()
    assert list(place.iterdir()) == []
    assert tempfile.gettempdir() == os.environ["TMPDIR"] == str(place)


def test_the_next_run_tidies_up_after_one_that_was_killed_but_not_after_one_at_work(place: Path) -> None:
    killed, working, beginning = (place / f"{SCRATCH}{what}" for what in ("killed", "working", "beginning"))
    # Made, but not locked yet.
    beginning.mkdir()
    for folder in (killed, working):
        (folder / "tmp.0").mkdir(parents=True)
    held = os.open(working, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    with make_scratch():
        assert not killed.exists()
    os.close(held)
    assert set(place.iterdir()) == {working, beginning}
