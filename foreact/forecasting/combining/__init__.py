"""Totals and items carried over the horizon and made to agree."""
