"""Refreshes: asked for by planners, run elsewhere, followed live, lost by no restart."""
