"""The pipelines: their graphs of steps, and where they run."""
