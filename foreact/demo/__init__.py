"""A small retailer made up by formula: seeded, and with its truth known."""

from foreact.demo.chain import Chain, make_chain
from foreact.demo.files import Demo, write_demo
from foreact.demo.sales import Sales, simulate_sales

__all__ = ["Chain", "Demo", "Sales", "make_chain", "simulate_sales", "write_demo"]
