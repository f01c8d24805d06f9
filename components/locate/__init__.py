"""Name the version of the source data, without reading it."""
