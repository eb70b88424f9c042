"""How often what is seen in CaDIS, which the phantom scenes follow.

Source: the published table of pixels by class of CaDIS v2's 4,670 frames (`data/data.csv` of
RViMLab/MICCAI2021_Cataract_semantic_segmentation), reduced here to counts of frames.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

FRAMES = 4670

FRAMES_BY_CLASS = (
    4664, 3597, 607, 3434, 4667, 4664, 4670, 447, 587, 448, 439, 384, 308, 459, 403, 774, 297, 621,
    100, 129, 84, 71, 84, 133, 40, 32, 12, 20, 3, 17, 7, 169, 12, 20, 20, 126,
)  # fmt: skip
"""Frames in which class 0..35 occurs."""

FRAMES_BY_VIDEO = (
    177, 170, 176, 173, 178, 183, 183, 184, 175, 205, 182, 217, 171,
    230, 181, 173, 179, 185, 214, 199, 219, 199, 178, 180, 159,
)  # fmt: skip
"""Frames of video 1..25."""

SPLITS = {
    "Training": (1, 3, 4, 6, 8, 9, 10, 11, 13, 14, 15, 17, 18, 19, 20, 21, 23, 24, 25),
    "Validation": (5, 7, 16),
    "Test": (2, 12, 22),
}
"""CaDIS's official split by video."""

INSTRUMENT_SETS: tuple[tuple[tuple[int, ...], int], ...] = (
    ((), 171), ((7,), 395), ((8,), 529), ((9,), 312), ((10,), 340), ((11,), 8), ((12,), 149), ((13,), 55),
    ((14,), 326), ((15,), 541), ((16,), 59), ((17,), 101), ((19,), 63), ((25,), 3), ((27,), 20), ((29,), 14),
    ((31,), 11), ((33,), 9), ((34,), 20), ((35,), 1), ((7, 17), 1), ((7, 31), 20), ((7, 32), 12), ((7, 35), 19),
    ((8, 17), 24), ((8, 19), 10), ((8, 31), 21), ((8, 35), 1), ((9, 11), 23), ((9, 22), 84), ((9, 31), 10),
    ((9, 35), 19), ((10, 20), 80), ((10, 31), 15), ((11, 12), 141), ((11, 13), 3), ((11, 16), 102), ((11, 19), 17),
    ((11, 25), 1), ((11, 35), 2), ((12, 14), 2), ((12, 15), 1), ((12, 17), 1), ((12, 28), 1), ((12, 31), 2),
    ((13, 17), 291), ((13, 21), 12), ((13, 31), 2), ((13, 35), 3), ((14, 24), 40), ((14, 31), 16), ((14, 35), 19),
    ((15, 17), 86), ((15, 18), 82), ((15, 19), 2), ((15, 31), 18), ((15, 35), 24), ((16, 23), 83), ((17, 19), 3),
    ((17, 29), 3), ((17, 35), 2), ((19, 25), 5), ((19, 31), 8), ((19, 35), 15), ((25, 26), 5), ((25, 33), 1),
    ((30, 31), 7), ((8, 19, 35), 2), ((10, 20, 31), 4), ((11, 12, 28), 2), ((11, 12, 31), 9), ((11, 13, 21), 2),
    ((11, 16, 23), 50), ((11, 16, 31), 3), ((11, 19, 31), 2), ((11, 19, 35), 2), ((11, 25, 26), 7),
    ((11, 25, 33), 10), ((13, 17, 21), 57), ((13, 17, 31), 17), ((13, 17, 35), 17), ((15, 17, 18), 16),
    ((15, 17, 31), 2), ((15, 18, 31), 2),
)  # fmt: skip
"""Which instrument classes are seen together, in how many frames.

The numbers of frames with one class, with a pair of classes and with 0..3 classes are published; the split of the pairs
over the 204 frames of three classes is a choice that agrees with all of them.
"""

VIDEOS_OF_CLASS: dict[int, tuple[int, ...]] = {
    18: (1, 2, 3, 5, 7, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22, 24),
    19: (1, 5, 8, 10, 11, 12, 14, 16, 19, 21, 24, 25),
    20: (1, 2, 3, 4, 5, 7, 15, 16, 17, 18, 21, 22, 24),
    21: (1, 2, 3, 7, 10, 13, 15, 17, 19, 21),
    22: (1, 2, 3, 5, 11, 12, 13, 21, 22, 23, 25),
    24: (1, 12, 14, 16),
    25: (12, 14, 19, 21),
    26: (14,),
    27: (14, 19),
    28: (19, 22),
    29: (19,),
    30: (24,),
    31: (24,),
    32: (1, 21),
    33: (12, 19),
    34: (10, 19, 25),
    35: (8,),
}
"""Videos of the classes that fewer than 20 of the 25 videos show."""


@lru_cache(maxsize=1)
def joint_frequencies() -> np.ndarray:
    """float64 [sets, 25], sum 1: how often each of `INSTRUMENT_SETS` is seen in each video.

    Iterative proportional fitting (Deming and Stephan 1940) of both margins to a table that is 0 where a class of
    the set is never seen in the video.
    """
    table = np.ones((len(INSTRUMENT_SETS), len(FRAMES_BY_VIDEO)))
    for row, (ids, _) in enumerate(INSTRUMENT_SETS):
        for class_id in ids:
            if class_id in VIDEOS_OF_CLASS:
                table[row, [v for v in range(25) if v + 1 not in VIDEOS_OF_CLASS[class_id]]] = 0
        if not table[row].any():  # a pair whose classes no one video shows by this table: only the rarer class decides
            rarest = min(ids, key=lambda i: FRAMES_BY_CLASS[i])
            table[row, [v - 1 for v in VIDEOS_OF_CLASS[rarest]]] = 1
    rows = np.array([frames for _, frames in INSTRUMENT_SETS], float)
    columns = np.array(FRAMES_BY_VIDEO, float)
    for _ in range(60):
        table *= (columns / table.sum(axis=0))[None, :]
        table *= (rows / table.sum(axis=1))[:, None]
    return table / table.sum()
