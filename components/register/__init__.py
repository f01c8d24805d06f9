"""Register every store's model and set the champions."""
