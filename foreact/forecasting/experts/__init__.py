"""The experts: each forecasts every item of a store in its own way, and the backtest says how far to follow it."""
