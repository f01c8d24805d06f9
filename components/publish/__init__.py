"""Publish the forecasts of a run, all stores at once."""
