"""Default values of the pipelines' parameters."""

from foreact.forecasting.judging import gate

HORIZON = 28
MISSING = "auto"
SEED = 0
MARGIN = gate.MARGIN
# The share of rejected rows above which the data is refused.
MAX_REJECTED_SHARE = 0.01
# The share of stores that may go without a new model before the run fails.
MAX_FALLBACK_SHARE = 0.2
STEP_CPU, STEP_MEMORY = "2", "4Gi"
TRAIN_CPU, TRAIN_MEMORY = "2", "8Gi"
