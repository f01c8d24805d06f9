"""Turn the retailer's files into one partition a store."""
