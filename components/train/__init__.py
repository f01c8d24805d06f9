"""Train every store's model and forecast with it."""
