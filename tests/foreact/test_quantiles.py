"""Names of quantiles: what users write, and what columns are called."""

import pytest

from foreact.errors import ForeactError
from foreact.quantiles import list_quantiles, name_quantiles, parse_quantiles


def test_names_are_percents_in_order_with_those_that_are_always_there() -> None:
    assert name_quantiles(parse_quantiles("p97.5, p2.5,p16.5")) == ("p2.5", "p10", "p16.5", "p50", "p90", "p97.5")
    assert parse_quantiles("") == parse_quantiles("p90,p10.0") == (0.1, 0.5, 0.9)


@pytest.mark.parametrize("name", ["p0", "p0.4", "p100", "95", "p-5", "median", "p1e1"])
def test_other_names_are_refused_by_the_name_of_the_option(name: str) -> None:
    with pytest.raises(ForeactError, match=f"--quantiles names '{name}'"):
        parse_quantiles(f"p5,{name}")


def test_columns_that_are_quantiles_are_told_from_others() -> None:
    assert list_quantiles(["store", "p90", "price", "p5", "p10", "mean", "p2.5"]) == ("p2.5", "p5", "p10", "p90")
