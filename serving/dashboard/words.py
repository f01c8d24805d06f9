"""What pages call a publication's periods, and what they are compared with."""

from dataclasses import dataclass
from datetime import date

from foreact.spacing import Spacing
from serving.dashboard.formatting import format_day


@dataclass(frozen=True)
class Words:
    """The words for one spacing."""

    spacing: Spacing
    # The window that planners look at first, as in "the week ahead".
    ahead: str
    # What brought the usual level; in figures and in words.
    recent: str
    recently: str
    # The periods that last year's numbers are of.
    year_ago: str
    # What a period is compared with on the map of stores, and a delivery with.
    usual: str
    deliveries: str

    @property
    def period(self) -> str:
        """One period."""
        return self.spacing.period

    def name_period(self, day: date | str) -> str:
        """Name a period by its date."""
        day = date.fromisoformat(day) if isinstance(day, str) else day
        if self.spacing is Spacing.DAILY:
            return format_day(day)
        return f"week of {day.day} {day:%b}" if self.spacing is Spacing.WEEKLY else f"month of {day:%b %Y}"

    def place_period(self, day: date | str) -> str:
        """Say that something is in a period."""
        return f"{'on' if self.spacing is Spacing.DAILY else 'in the'} {self.name_period(day)}"


WORDS = {
    Spacing.DAILY: Words(
        Spacing.DAILY,
        ahead="week",
        recent="4 weeks",
        recently="four weeks",
        year_ago="same weekdays",
        usual="the same weekday of the last eight weeks",
        deliveries="the last eight weeks",
    ),
    Spacing.WEEKLY: Words(
        Spacing.WEEKLY,
        ahead="four weeks",
        recent="8 weeks",
        recently="eight weeks",
        year_ago="same weeks",
        usual="the mean of the last eight weeks",
        deliveries="the last eight times four weeks",
    ),
    Spacing.MONTHLY: Words(
        Spacing.MONTHLY,
        ahead="three months",
        recent="6 months",
        recently="six months",
        year_ago="same months",
        usual="the mean of the last eight months",
        deliveries="the last eight times three months",
    ),
}
