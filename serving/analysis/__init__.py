"""What is expected, beside what was sold before: worked out once a store, for alerts, pages and exports."""
