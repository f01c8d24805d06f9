"""What the events of a run say."""

import errno
import json
from pathlib import Path

import pytest

from foreact.runs.events import Events


def test_a_full_disk_is_told_in_a_sentence(tmp_path: Path) -> None:
    events = Events(tmp_path / "events.jsonl")
    with pytest.raises(OSError, match="No space"), events.step("train"):
        raise OSError(errno.ENOSPC, "No space left on device", "/work/dataset/part.parquet")
    last = json.loads((tmp_path / "events.jsonl").read_text().splitlines()[-1])
    assert (last["state"], last["sentence"]) == ("failed", "The disk is full: free space and run again.")
