"""Return how a run ended, whatever happened."""
