"""The graphs made of the steps, and where they run."""
