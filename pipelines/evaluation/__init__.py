"""The accuracy of the forecaster on a history, and its record in MLflow."""
