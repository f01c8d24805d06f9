"""The forecast service and its dashboard."""
