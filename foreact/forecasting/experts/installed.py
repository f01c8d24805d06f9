"""Experts of installed packages, found by entry point; a store is forecast without one that fails."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar, cast

import numpy as np

from foreact.errors import ForeactError, end_sentence, suggest_name
from foreact.forecasting.experts.protocol import BUILT_IN, Expert, ExpertFit
from foreact.forecasting.inputs.arrays import Doubles
from foreact.forecasting.reading import PanelReading

log = logging.getLogger(__name__)
GROUP = "foreact.experts"
# A fit lies in a file of its expert's name.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
# Weights are sought among all subsets of the experts.
MOST = 6
MOST_UNITS = 1e9
T = TypeVar("T")


class ExpertError(ForeactError):
    """Why an expert has no opinion, as the end of a sentence about it."""


@dataclass(frozen=True)
class InstalledFit:
    """A fit as read back from its bytes, so that what a backtest judges is what a model saves."""

    saved: bytes
    fit: ExpertFit

    def forecast(self, reading: PanelReading) -> Doubles:
        """Return items x horizon, or raise `ExpertError`."""
        _protect(reading)
        mean = _guard("its forecast failed", lambda: np.asarray(self.fit.forecast(reading), np.float64))
        shape = (len(reading.panel.items), reading.panel.horizon)
        if mean.shape != shape:
            raise ExpertError(f"its forecast has the shape {mean.shape}, not {shape}, items x horizon")
        if not (np.abs(mean) < MOST_UNITS).all():
            raise ExpertError("its forecast is not finite, or beyond all sales")
        return mean

    def save(self) -> bytes:
        """Return the bytes that the fit was read from."""
        return self.saved


def parse_experts(text: str) -> tuple[str, ...]:
    """Return the names of a list of experts, each once."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if len(names) > MOST:
        raise ForeactError(f"--experts names {len(names)} experts; a run takes at most {MOST}.")
    return names


def list_installed() -> dict[str, list[EntryPoint]]:
    """Return the entry points of all installed experts by name; a name that packages share has several."""
    found: dict[str, list[EntryPoint]] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        found.setdefault(point.name, []).append(point)
    return found


def find_expert(name: str) -> EntryPoint:
    """Return the entry point of an installed expert, or raise for a name that is unknown or stands for several."""
    installed = list_installed()
    if name not in installed:
        known = f"installed: {', '.join(installed)}" if installed else "no package brings any"
        raise ForeactError(
            end_sentence(
                f"--experts names {name!r}, which is not installed here ({known}); install its package, or leave the "
                f"name out{suggest_name(name, installed)}"
            )
        )
    points = installed[name]
    if len(points) > 1:
        packages = ", ".join(describe_package(point) for point in points)
        raise ForeactError(f"Several packages bring an expert {name!r} (--experts): {packages}; uninstall all but one.")
    if name in BUILT_IN or not NAME.fullmatch(name):
        raise ForeactError(
            f"The expert {name!r} of {describe_package(points[0])} needs another name (--experts): of letters, "
            "digits, '_', '.' and '-', and not a built-in expert's."
        )
    return points[0]


def describe_package(point: EntryPoint) -> str:
    """Return the package that brings an expert, with its version."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def load_expert(name: str) -> Expert:
    """Return an installed expert, or raise `ExpertError` if its package is broken."""
    point = find_expert(name)
    expert = _guard("it cannot be loaded", _guard("it cannot be loaded", point.load))
    missing = [method for method in ("explain_skip", "fit", "load") if not callable(getattr(expert, method, None))]
    if missing:
        raise ExpertError(f"it cannot be loaded: its class has no {' and no '.join(missing)}")
    return cast(Expert, expert)


def fit_expert(expert: Expert, reading: PanelReading, seed: int) -> InstalledFit:
    """Fit an expert and read the fit back from its bytes, or raise `ExpertError`."""
    _protect(reading)
    skip = _guard("its explain_skip failed", lambda: expert.explain_skip(reading))
    if skip:
        raise ExpertError(str(skip))
    fit = _guard("its fit failed", lambda: expert.fit(reading, seed))
    saved = _guard("saving its fit failed", fit.save)
    if not isinstance(saved, bytes):
        raise ExpertError(f"its save returned {type(saved).__name__}, not bytes")
    return read_fit(expert, saved)


def read_fit(expert: Expert, saved: bytes) -> InstalledFit:
    """Return the fit that an expert saved, or raise `ExpertError`."""
    return InstalledFit(saved, _guard("loading its fit failed", lambda: expert.load(saved)))


def fit_installed(
    names: Iterable[str], reading: PanelReading, seed: int
) -> tuple[dict[str, InstalledFit], dict[str, str]]:
    """Fit experts to a reading; return the fits, and why the other experts are left out."""
    fits, left_out = {}, {}
    for name in names:
        try:
            fits[name] = fit_expert(load_expert(name), reading, seed)
        except ExpertError as error:
            left_out[name] = str(error)
    return fits, left_out


def read_fits(saved: dict[str, bytes]) -> dict[str, InstalledFit]:
    """Return the fits of those experts that are still installed and can read them."""
    fits = {}
    for name, content in saved.items():
        try:
            fits[name] = read_fit(load_expert(name), content)
        except ForeactError as error:
            log.warning("the expert %r is left out of a saved model: %s", name, error)
    return fits


def _protect(reading: PanelReading) -> None:
    """Make the arrays that others read too refuse to be written to."""
    for part in (reading.panel, reading.demand, reading.history):
        for value in vars(part).values():
            for array in value.values() if isinstance(value, Mapping) else [value]:
                if isinstance(array, np.ndarray):
                    array.setflags(write=False)


def _guard(failure: str, call: Callable[[], T]) -> T:
    """Return what a call to an expert returns, or raise `ExpertError` whatever went wrong in it."""
    try:
        return call()
    except MemoryError:
        raise
    # An expert that leaves the process leaves out itself.
    except (Exception, SystemExit) as error:
        # One line, for a sentence.
        text = " ".join(str(error).split())
        raise ExpertError(f"{failure}: {type(error).__name__}{f': {text}' if text else ''}") from error
