"""Public and school holidays by country and subdivision, as the `holidays` package knows them."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from foreact.errors import ForeactError

if TYPE_CHECKING:
    from holidays import HolidayBase

# On a day of several kinds the first gives the name. The package's others are of one faith, trade or profession.
KINDS = ("public", "de_facto", "half_day", "optional", "unofficial")
SCHOOL = "school"
# A year with fewer days without school is one that the package does not know.
FEWEST_FREE = 50
# Whatever is kept on another day than its own is one thing: a weekday off.
OBSERVED = "Observed holiday"
OBSERVED_NAME = re.compile(r"\((observed|in lieu|substitut)[^()]*\)$")


@dataclass(frozen=True, order=True)
class Place:
    """A country by its ISO code, and a subdivision of it or none."""

    country: str
    subdivision: str = ""

    def __str__(self) -> str:
        return "-".join(filter(None, (self.country, self.subdivision)))


def parse_place(text: str) -> Place:
    """Return the place that --country names; raise if there is none."""
    code, _, subdivision = text.partition("-")
    country = find_country(code)
    if country is None:
        raise ForeactError(
            f"--country {text!r} is not known: write the ISO code of a country, as in DE, or of a subdivision, as in "
            "DE-BY."
        )
    place = find_subdivision(country, subdivision) if subdivision else country
    if place is None:
        codes = ", ".join([f"{country}-{code}" for code in _open_calendar(country).subdivisions[:20]])
        raise ForeactError(f"--country {text!r} is not known: write {country}{codes and ' or one of '}{codes}.")
    return place


def find_country(text: str) -> Place | None:
    """Return the country of an ISO code."""
    from holidays import country_holidays, list_supported_countries

    code = text.strip().upper()
    known = list_supported_countries(include_aliases=True)
    return Place(country_holidays(code).country) if code in known else None


def find_subdivision(country: Place, text: str) -> Place | None:
    """Return the subdivision of a country that has this code or name."""
    calendar = _open_calendar(country)
    codes = {**calendar.subdivisions_aliases, **{code: code for code in calendar.subdivisions}}
    code = {name.casefold(): code for name, code in codes.items()}.get(text.strip().casefold())
    return None if code is None else Place(country.country, code)


def name_holidays(place: Place, days: list[date]) -> dict[date, str]:
    """Return the name in English of each of the days that is a holiday; of several, that of the most days."""
    names: dict[date, list[str]] = {}
    for kind in KINDS:
        calendar = _open_calendar(place, _list_years(days), kind)
        for day in sorted(calendar):
            names.setdefault(day, [_unify_name(name) for name in calendar.get_list(day)])
    often = Counter(name for each in names.values() for name in each)
    return {day: min(names[day], key=lambda name: (-often[name], name)) for day in days if day in names}


def list_school_holidays(place: Place, days: list[date]) -> set[date]:
    """Return which of the days are without school; none if the package does not know them in every year."""
    years = _list_years(days)
    free = set(_open_calendar(place, years, SCHOOL))
    by_year = Counter(day.year for day in free)
    return free & set(days) if all(by_year[year] >= FEWEST_FREE for year in years) else set()


def _open_calendar(place: Place, years: Iterable[int] = (), kind: str = KINDS[0]) -> "HolidayBase":
    from holidays import country_holidays

    subdivision = place.subdivision or None
    if kind not in country_holidays(place.country, subdiv=subdivision).supported_categories:
        years = ()
        kind = KINDS[0]
    return country_holidays(
        place.country, subdiv=subdivision, years=years, expand=False, language="en_US", categories=kind
    )


def _list_years(days: list[date]) -> range:
    return range(days[0].year, days[-1].year + 1)


def _unify_name(name: str) -> str:
    """Return one name for what recurs: holidays on a day that is not their own, and feasts whose date is estimated."""
    return OBSERVED if OBSERVED_NAME.search(name) else name.removesuffix(" (estimated)")
