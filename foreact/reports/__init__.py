"""Pages for the run page of Kubeflow Pipelines: each one file that needs nothing from elsewhere."""
