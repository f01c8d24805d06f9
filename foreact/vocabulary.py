"""The words that data, models and answers share, written once."""

STORE, ITEM, DATE, UNITS = "store", "item", "date", "units"
OPEN, STOCKOUT = "open", "stockout"
# Columns of a known table that say whose past is borrowed, and how much of it; and both as a dataset has them.
LIKE, SHARE = "like", "share"
LIKE_ITEM, LIKE_SHARE = "like item", "like share"
ROLES = (DATE, STORE, ITEM, UNITS, OPEN, STOCKOUT)
# The attribute of a store whose clocks are not the retailer's: an IANA name.
TIME_ZONE = "time_zone"

MEAN, P10, P50, P90 = "mean", "p10", "p50", "p90"
DRIVER = "driver"

# Data without items has one series a store, and that series carries this name.
WHOLE_STORE = "all"
