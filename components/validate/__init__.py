"""Check the data against its rules before anything is learnt from it."""
