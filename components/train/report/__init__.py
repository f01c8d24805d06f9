"""The backtest page of a run: its pictures, its figures, and how past publications did."""
