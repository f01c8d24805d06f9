"""What is known of a store before any model looks: its panel, what each column is good for, what counts as demand."""
