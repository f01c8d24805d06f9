"""What runs report beyond their own logs: accuracy records, traces and notices."""
