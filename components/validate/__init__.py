"""Check the data against its rules before a model is trained on it."""
