"""Bring a made-up retailer's sales, and what is known ahead, to a container of Azurite's."""

import os
import re
import sys
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from foreact.blobs.connecting import open_url
from foreact.demo import write_demo
from foreact.errors import ForeactError
from foreact.settings import PlaceSettings

HISTORY = "history/demo.csv"


def main(url: str, stores: int = 10, items: int = 50) -> None:
    """Write history/demo.csv and known/*, unless there is a history of somebody's own."""
    # The secret names the emulator as pods see it.
    endpoint = url.rpartition("/")[0]
    text = re.sub(r"BlobEndpoint=[^;]*", f"BlobEndpoint={endpoint}", os.environ["FOREACT_BLOB_CONNECTION_STRING"])
    container, _ = open_url(url, PlaceSettings(blob_connection_string=text))
    others = [blob.name for blob in container.list("history/") if blob.name != HISTORY]
    if others:
        raise ForeactError(f"{others[0]} is there already, and made-up sales would be mixed with it: delete it first.")
    with TemporaryDirectory() as folder:
        demo = write_demo(Path(folder), date.today() - timedelta(days=1), stores=stores, items=items)
        for name, file in {HISTORY: demo.history, **{f"known/{file.name}": file for file in demo.known}}.items():
            container.write(name, file)
            sys.stdout.write(f"{name}: {file.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except ForeactError as problem:
        sys.exit(str(problem))
