"""How good a forecast is: backtests, accuracy, intervals, the gate, and how published numbers did."""
