"""How runs tell of themselves beyond their own logs: a record that the service reads, traces, and notices."""
