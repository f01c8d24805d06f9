"""How good a forecast is: backtests, accuracy, baselines, the gate, and how published numbers did."""
