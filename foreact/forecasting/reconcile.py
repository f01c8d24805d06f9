"""Items, groups and totals that agree: items are scaled to their group's total, day by day."""

import numpy as np

from foreact.forecasting.columns import Codes
from foreact.forecasting.demand import Bools, Doubles

# A group of many items is not stretched beyond this; what is left over stays with the items' own sum.
MOST = 3.0


def reconcile(items: Doubles, totals: Doubles, codes: Codes, closed: Bools) -> Doubles:
    """Give items x horizon whose sums by group are the groups' totals; closed days are zero."""
    groups = len(totals)
    membership = np.zeros((groups, len(codes)))
    membership[codes, np.arange(len(codes))] = 1.0
    sums = membership @ items
    ratio = np.divide(totals, sums, out=np.ones_like(totals), where=sums > 0)
    many = membership.sum(1) > 1
    ratio[many] = np.clip(ratio[many], 1 / MOST, MOST)
    return np.asarray(items * ratio[codes] * ~closed)
