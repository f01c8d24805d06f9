"""Tell how a run ended, whatever happened."""
