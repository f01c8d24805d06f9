"""How well the forecaster does on a history, and where that is logged."""
