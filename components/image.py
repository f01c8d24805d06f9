"""The image that every step runs in; one build argument sets it."""

import os

IMAGE = os.environ.get("FOREACT_IMAGE", "foreact-pipeline:dev")
