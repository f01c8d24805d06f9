"""From a retailer's files to typed rows: where they are, what format they have, what each cell stands for."""
