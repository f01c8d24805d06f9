"""What a user can get wrong: one sentence, a non-zero exit code, and everything published as it was."""

import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.conftest import Chain, Foreact
from tests.commands.test_run import manifest

HEADER = "date,store,item,units\n"


def rows(units: str = "3", days: int = 60) -> str:
    return HEADER + "".join(
        f"2026-0{1 + day // 28}-{1 + day % 28:02d},s,{item},{units}\n" for day in range(days) for item in ("a", "b")
    )


def calendar(days: int = 50) -> str:
    """Return a row for every day, but none of the days ahead."""
    return "date,event\n" + "".join(f"2026-0{1 + day // 28}-{1 + day % 28:02d},none\n" for day in range(days))


def write(path: Path, text: str, encoding: str = "utf-8") -> list[str]:
    path.write_text(text, encoding)
    return ["--history", str(path)]


CASES: dict[str, tuple[Callable[[Path], list[str]], str]] = {
    "missing file": (lambda p: ["--history", str(p / "none.csv")], "none.csv"),
    "empty file": (lambda p: write(p / "e.csv", ""), "e.csv"),
    "absent column": (lambda p: write(p / "c.csv", rows().replace("units", "unitz")), "'unitz'"),
    "horizon zero": (lambda p: [*write(p / "h.csv", rows()), "--horizon", "0"], "0"),
    "horizon minus one": (lambda p: [*write(p / "h.csv", rows()), "--horizon", "-1"], "-1"),
    "horizon too long": (lambda p: [*write(p / "h.csv", rows()), "--horizon", "4000"], "4000"),
    "impossible as-of": (lambda p: [*write(p / "d.csv", rows()), "--as-of", "2026-02-31"], "2026-02-31"),
    "text in units": (lambda p: write(p / "t.csv", rows("many")), "units"),
    "negative units": (lambda p: write(p / "n.csv", rows("-4")), "more is sold than returned"),
    "duplicates": (lambda p: write(p / "x.csv", rows() + rows()[len(HEADER) :]), "rejected"),
    "known ends early": (
        lambda p: [*write(p / "k.csv", rows()), "--known", write(p / "calendar.csv", calendar())[1]],
        "calendar.csv",
    ),
    "a word for missing rows": (lambda p: [*write(p / "m.csv", rows()), "--missing", "zeros"], "'zeros'"),
    "mixed dates": (
        lambda p: write(p / "d.csv", rows() + "".join(f"{day:02d}.03.2026,s,a,3\n" for day in range(5, 25))),
        "05.03.2026",
    ),
    "impossible dates": (lambda p: write(p / "d.csv", rows() + "2026-02-31,s,a,3\n" * 20), "2026-02-31"),
    "one-day history": (lambda p: write(p / "1.csv", rows(days=1)), "1 day,"),
    "wrong delimiter": (lambda p: write(p / "w.csv", rows().replace(",", ":")), "'date:store:item:units'"),
    "wrong encoding": (lambda p: write(p / "l.csv", rows().replace(",s,", ",Köln,"), "latin-1"), "UTF-8"),
    "no role": (lambda p: [*write(p / "r.csv", rows()), "--columns", "shop=store"], "shop"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_bad_input_is_one_sentence(case: str, one_store: Chain, foreact: Foreact, tmp_path: Path) -> None:
    before = manifest(one_store.workspace)
    arguments, told = CASES[case]
    done = foreact("run", "retrain-all", *arguments(tmp_path), "--workspace", str(one_store.workspace))
    assert done.returncode == 1, done.stderr
    sentence = done.stderr.strip().splitlines()[-1]
    assert sentence.startswith("foreact: ")
    assert told in sentence
    assert "Traceback" not in done.stderr
    assert manifest(one_store.workspace) == before
    if "see " in sentence:
        (page,) = re.findall(r"see (\S+)\)$", sentence)
        assert told in html.unescape(Path(page).read_text())


def test_no_history_and_none_to_remember(foreact: Foreact, tmp_path: Path) -> None:
    done = foreact("run", "retrain-all", "--workspace", str(tmp_path / "new"))
    assert done.returncode == 1
    assert done.stderr.startswith("foreact: No --history is given")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("retrain-all", "--history", ""), "--history is empty"),
        (("retrain-all", "--margin", "nan"), "--margin is nan"),
        (("retrain-all", "--max-rejected-share", "2"), "--max-rejected-share is 2.0"),
        # To the steps no store means all of them.
        (("retrain-store", "--store", ""), "--store is empty"),
    ],
)
def test_an_option_that_cannot_be_meant(
    foreact: Foreact, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = foreact("run", *arguments, "--workspace", str(tmp_path))
    assert done.returncode == 1
    assert done.stderr.startswith(f"foreact: {told}")
    assert list(tmp_path.iterdir()) == []


def test_a_setting_that_cannot_be_used(foreact: Foreact, tmp_path: Path) -> None:
    arguments = ("run", "retrain-all", "--history", "x.csv", "--workspace", str(tmp_path))
    done = foreact(*arguments, FOREACT_KEEP_VERSIONS="s3cret")
    assert done.returncode == 1
    assert done.stderr.startswith("foreact: Settings cannot be used as they are: FOREACT_KEEP_VERSIONS (")
    assert "s3cret" not in done.stderr


@pytest.mark.parametrize("arguments", [("run", "retrain-all", "--history", "x.csv"), ("demo",)])
def test_a_workspace_that_cannot_be_written(foreact: Foreact, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    done = foreact(*arguments, "--workspace", str(blocked / "workspace"))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("publications", "list"), 0, "Nothing is published yet."),
        (("export", "--out", "forecasts.csv"), 1, "Nothing is published"),
        (("status",), 1, "Nothing is published"),
    ],
)
def test_nothing_published_yet(
    foreact: Foreact, tmp_path: Path, arguments: tuple[str, ...], code: int, told: str
) -> None:
    done = foreact(*arguments, "--workspace", str(tmp_path))
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["export", "compile"])
def test_a_place_that_cannot_be_written(one_store: Chain, foreact: Foreact, tmp_path: Path, command: str) -> None:
    (tmp_path / "file").touch()
    out = str(tmp_path / "file" / "forecasts.csv")
    place = ("--workspace", str(one_store.workspace)) if command == "export" else ()
    done = foreact(command, "--out", out, *place)
    assert done.returncode == 1
    assert done.stderr.startswith(f"foreact: {out!r} cannot be ")
    assert len(done.stderr.splitlines()) == 1


def test_an_unknown_store_has_no_forecasts(one_store: Chain, foreact: Foreact, tmp_path: Path) -> None:
    (store,) = one_store.stores
    out = tmp_path / "forecasts.csv"
    done = foreact("export", "--out", str(out), "--store", store.lower(), "--workspace", str(one_store.workspace))
    assert done.returncode == 1
    assert done.stderr.strip().endswith(f"{store.lower()!r}; did you mean {store!r}?")
    assert not out.exists()
