"""From a retailer's files to one checked partition a store."""
