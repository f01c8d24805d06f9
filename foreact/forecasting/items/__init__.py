"""The model of a store's items: one boosting over all of them, which corrects level and season."""
