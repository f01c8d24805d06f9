"""Drills: faults and load made on purpose, on loopback, each with a written result. `python -m tests.drills NAME`."""

# How a drill is called, and the module that holds it.
DRILLS = {
    name: name
    for name in (
        *("swap", "storm", "blob", "killed", "twice", "poison", "dst", "mlflow", "worker", "kubeflow", "hostile"),
        *("morning", "nights", "restores", "faults"),
    )
}
