"""The pipelines on a cluster: submitted to Kubeflow Pipelines, and scheduled there."""
