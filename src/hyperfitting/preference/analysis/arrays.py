"""Array types of the analysis. Shape suffixes are explained in each module."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
