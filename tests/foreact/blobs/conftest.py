"""Both implementations under one name."""

from collections.abc import Callable

import pytest

from foreact.blobs import BlobStore, connect
from foreact.settings import PlaceSettings


@pytest.fixture(params=["folder", pytest.param("azure", marks=pytest.mark.azurite)])
def make_store(request, tmp_path) -> Callable[[], BlobStore]:
    """Return a function that opens one empty store anew, as another process would."""
    if request.param == "folder":
        settings = PlaceSettings(workspace=tmp_path)
    else:
        settings = PlaceSettings(**request.getfixturevalue("azurite").settings())
    return lambda: connect(settings)


@pytest.fixture
def store(make_store) -> BlobStore:
    """Return an empty store."""
    return make_store()
