"""Report how a run ended, whatever happened."""
