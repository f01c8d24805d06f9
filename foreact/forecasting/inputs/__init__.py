"""What the models are given of a store: its panel, the use of each column, and the cells that count as demand."""
