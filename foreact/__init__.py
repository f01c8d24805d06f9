"""Foreact: demand forecasts per store and item, from sales data to what planners see."""

__version__ = "0.1.0"
