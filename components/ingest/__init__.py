"""Take the retailer's files in: one partition a store."""
