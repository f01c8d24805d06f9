"""Refreshes: requested by planners, run elsewhere, followed live, and not lost by a restart."""
