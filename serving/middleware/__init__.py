"""Layers that every request passes before its route."""
