"""Outlines of stores: all that is known of one but its items' numbers, so that many fit into memory at once."""
