"""Return which version of the source data there is, without reading it."""
