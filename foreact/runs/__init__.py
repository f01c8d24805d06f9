"""Runs: their workspace, their events, their record in the blob store, how they end, and the results of training."""
