"""Lines of equal value on a grid: marching squares in NumPy."""

import numpy as np


def contours(field: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The line segments where the bilinear surface through `field` (rows, columns) crosses each of `levels`.

    **Returns:** `(segments, 5)`: the level, and the column and row of either end, as fractions of a cell. Cells with a corner
    that is not finite have none.
    """
    # Around each cell, from the top left.
    corners = np.stack([field[:-1, :-1], field[:-1, 1:], field[1:, 1:], field[1:, :-1]])
    places = np.array([(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)])  # (column, row) of each corner
    known = np.isfinite(corners).all(axis=0)
    found = []
    for level in levels:
        above = corners > level
        crossed = (above != np.roll(above, -1, axis=0)) & known  # side k, from corner k to the next one
        middle = corners.mean(axis=0) > level
        for row, column in zip(*np.nonzero(crossed.any(axis=0)), strict=True):
            sides = np.nonzero(crossed[:, row, column])[0]
            # Two lines through a saddle: each cuts off a corner that is on another side of the level than the middle.
            if len(sides) == 4 and above[0, row, column] != middle[row, column]:
                sides = sides[[3, 0, 1, 2]]
            ends = []
            for side in sides:
                one, other = corners[side, row, column], corners[(side + 1) % 4, row, column]
                share = (level - one) / (other - one)
                ends.append((column, row) + places[side] + share * (places[(side + 1) % 4] - places[side]))
            found += [(level, *ends[i], *ends[i + 1]) for i in range(0, len(ends), 2)]
    return np.array(found).reshape(-1, 5)
