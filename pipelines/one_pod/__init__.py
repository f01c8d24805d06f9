"""All steps of one store in one pod: a pod a step takes longer to start than the steps take to run."""
