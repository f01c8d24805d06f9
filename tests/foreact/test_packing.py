"""Packing a model into one file and back."""

import io
import os
import zipfile

import pytest

from foreact.errors import ForeactError
from foreact.packing import pack_folder, unpack_folder


def test_the_same_files_make_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep" / "b.npz").write_bytes(b"b")
        (tmp_path / name / "a.json").write_text("a")
    os.utime(tmp_path / "one" / "a.json", (1, 1))
    data = pack_folder(tmp_path / "one")
    assert data == pack_folder(tmp_path / "two")
    unpack_folder(data, tmp_path / "three")
    assert pack_folder(tmp_path / "three") == data


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "C:\\out"])
def test_no_file_leaves_the_folder(tmp_path, name):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    with pytest.raises(ForeactError, match="not an object name"):
        unpack_folder(buffer.getvalue(), tmp_path / "in")
    assert list(tmp_path.rglob("out")) == []
