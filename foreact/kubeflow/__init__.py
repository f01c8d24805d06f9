"""Kubeflow Pipelines, as everything here that runs on it sees it."""
