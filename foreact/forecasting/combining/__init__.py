"""Totals and items forecast from one panel and reconciled."""
