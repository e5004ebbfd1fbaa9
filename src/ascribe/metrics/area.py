"""The area under a loss curve (AULC): how fast a rule learns, in one number.

Source: "Function changes in the Backpropagation equation is equivalent to an implicit learning rate", section 3.2.1.
"""

import numpy as np


def area_under_curve(curve: np.ndarray) -> np.ndarray:
    """Σ over epochs of the epoch's mean loss, each epoch a bar of width one: `(…, epochs)` to `(…,)`. Less is faster.

    >>> float(area_under_curve(np.array([1.0, 0.5, 0.25])))
    1.75
    """
    return np.asarray(np.sum(curve, axis=-1))
