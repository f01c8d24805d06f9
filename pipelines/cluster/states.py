"""The states that Kubeflow Pipelines knows runs and tasks in."""

SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"
CANCELED = "CANCELED"
SKIPPED = "SKIPPED"
PENDING = "PENDING"
ENDED = frozenset({SUCCEEDED, FAILED, CANCELED, SKIPPED})
