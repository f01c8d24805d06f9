"""The arrays that the models compute with, by what their cells hold."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]
# Places in a list of groups, items or days.
Codes = NDArray[np.int64]
Dates = NDArray[np.datetime64]
