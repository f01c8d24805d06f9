"""The model of a store's totals: a ridge regression of log daily totals by group."""
