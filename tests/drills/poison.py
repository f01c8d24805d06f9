"""Poisoned input: a file that is not what it was; nothing published changes, and the operators are told once why."""

import json
from pathlib import Path

from tests.drills.outcome import Outcome
from tests.drills.retailer import Retailer, make
from tests.observability.receiver import receive


def drill(folder: Path) -> Outcome:
    """Run over several poisons, then over the good file again."""
    retailer = make(folder)
    good = retailer.history.read_bytes()
    version = retailer.check()
    rows, held = [], True
    with receive() as receiver:
        retailer.environment = {"FOREACT_WEBHOOK_URL": receiver.url}
        for name, data in _poisons(good).items():
            path = folder / "poison.csv"
            path.write_bytes(data)
            code, said = retailer.run(history=path)
            sound = code == 1 and said.startswith("foreact: ") and "Traceback" not in said
            held &= sound and retailer.check() == version
            rows.append((name, f"exit {code}: {_short(said, retailer)}"))
        told = len(receiver.received)
        code, said = retailer.run()
        held &= code == 0 and retailer.check() == version + 1
        rows.append(("the good file again", "succeeded, and published" if code == 0 else said))
        events = [json.loads(data)["event"] for _, _, data in receiver.received]
    rows.append(("notices", ", ".join(events)))
    held &= events == ["failed"] * told + ["recovered"] and told == len(_poisons(good))
    return Outcome("poison", held, rows, "Planners saw the last good forecast; operators one notice a run, and why.")


def _poisons(good: bytes) -> dict[str, bytes]:
    lines = good.splitlines(keepends=True)
    header = lines[0].decode()
    units = header.strip().replace('"', "").split(",").index("units")
    broken = []
    for line in lines[1:]:
        cells = line.decode().rstrip("\n").split(",")
        cells[units] = "-5"
        broken.append((",".join(cells) + "\n").encode())
    return {
        "every amount negative": lines[0] + b"".join(broken),
        "a column renamed": header.replace("units", "amount").encode() + b"".join(lines[1:]),
        "bytes of another format": bytes(range(256)) * 400,
        "an empty file": b"",
        "every row twice": good + b"".join(lines[1:]),
    }


def _short(said: str, retailer: Retailer) -> str:
    text = said.removeprefix("foreact: ").replace(str(retailer.workspace.parent), "")
    return text if len(text) < 180 else text[:177] + "..."
