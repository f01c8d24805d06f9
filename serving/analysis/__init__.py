"""What is computed from a publication for alerts, pages and exports, apart from how they show it."""
