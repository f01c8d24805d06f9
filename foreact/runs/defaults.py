"""Default values of the pipelines' parameters."""

from typing import Any

# As is usual for the spacing: 28 days, 8 weeks or 6 months.
HORIZON = 0
SPACING = "auto"
MISSING = "auto"
STOCKOUTS = "keep"
SEED = 0
# Beside p10, p50 and p90, which every publication has.
QUANTILES = "p5,p10,p25,p50,p75,p90,p95,p98"
# Installed experts beside the built-in ones.
EXPERTS = ""
# How much worse than the champion a challenger may score and still go live.
MARGIN = 0.02
# The share of rejected rows above which the data is refused.
MAX_REJECTED_SHARE = 0.01
# The share of stores that may go without a new model before the run fails.
MAX_FALLBACK_SHARE = 0.2
# Whether stores whose numbers depart beyond what is likely are published all the same.
ACCEPT_DEPARTURES = False
# Whether a run may lose columns, attributes and known tables that live models and stores go by.
ACCEPT_LOSSES = False
# What one store's run takes from the last retrain-all where it is left out: what is read, how, and what is published.
LEFT_OUT: dict[str, Any] = {
    "history": "",
    "known": [],
    "columns": "",
    "country": "",
    "spacing": SPACING,
    "horizon": HORIZON,
    "missing": MISSING,
    "stockouts": STOCKOUTS,
    "max_rejected_share": MAX_REJECTED_SHARE,
    "quantiles": QUANTILES,
    "experts": EXPERTS,
}
STEP_CPU, STEP_MEMORY = "2", "4Gi"
TRAIN_CPU, TRAIN_MEMORY = "2", "8Gi"
