"""The model of a store's items: one boosting over all of them, on top of level and season."""
