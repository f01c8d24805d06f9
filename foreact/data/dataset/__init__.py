"""The dataset that steps hand on: one partition a store, its plan and record, and what training gets of a store."""
