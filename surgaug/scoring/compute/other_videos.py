"""The second yardstick: how far real frames of other videos lie from the real frames. Pure.

Each video has a look of its own, so that images in the styles of other videos never lie as near to the frames of an
unseen one as its own halves do. Other real videos say how near real frames of another video come.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from surgaug.runtime.spread import spread

FEWEST_FRAMES, MOST_FRAMES = 8, 100  # of a video: of fewer a distance is chance, more cost time and change little
MOST_REAL = 500  # real frames that they are held against
FEWEST_VIDEOS = 3  # that make a yardstick
TOGETHER = ""  # the name of all `others` as one set
Value = TypeVar("Value")
Sides = Mapping[str, tuple[np.ndarray, np.ndarray]]


def frames_of_videos(videos: Sequence[str | None], apart_from: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Positions of the frames of each video, from `FEWEST_FRAMES` to `MOST_FRAMES` of them, evenly spaced.

    videos: of each frame, None where it is not known. apart_from: videos to leave out.
    """
    found = {}
    for video in sorted({video for video in videos if video} - set(apart_from)):
        positions = np.flatnonzero([other == video for other in videos])
        if len(positions) >= FEWEST_FRAMES:
            found[video] = positions[spread(len(positions), MOST_FRAMES)]
    return found


def sides(real: np.ndarray, videos: Sequence[str | None], others: Mapping[str, np.ndarray]) -> Sides:
    """By video, the features of its frames [n, d], and of the real frames [m, d] that they are held against.

    Videos of `real` [m, d] are held against the rest of it where enough is left, `others` against all of it, each and,
    as a set that mixes videos lies nearer than each of them, all `TOGETHER`.
    """
    within = {}
    for video, positions in frames_of_videos(videos).items():
        rest = np.flatnonzero([other != video for other in videos])
        if len(rest) >= FEWEST_FRAMES:
            within[video] = real[positions], real[rest[spread(len(rest), MOST_REAL)]]
    thinned = real[spread(len(real), MOST_REAL)]
    apart = {video: (features, thinned) for video, features in others.items()}
    return within | apart | ({TOGETHER: (np.concatenate(list(others.values())), thinned)} if len(others) > 1 else {})


def by_video(distance: Callable[[np.ndarray, np.ndarray], Value], found: Sides) -> dict[str, Value]:
    """`distance` of each video's frames to the real frames, where it has a value (no ValueError)."""
    values = {}
    for video, (frames, real) in found.items():
        try:
            values[video] = distance(frames, real)
        except ValueError:
            continue
    return values
