"""`--style IMAGE|DIR`: a look is asked for more strongly until the pictures have it.

Told the style code of a frame unlike its training frames, the network goes about half the way. So a few pictures are
painted first: what their codes lack on average is added to all codes that are asked for, and again, until they lack
nothing. On average, because one picture's colours depend on what its label map shows as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import root

from surgaug.models.style import DIMENSION, SMALLEST_SPREAD, style_code
from surgaug.runtime.device import to_tensor
from surgaug.runtime.feedback import Feedback
from surgaug.synthesis.inputs import Inputs
from surgaug.synthesis.samples import Sample, Samples
from surgaug.synthesis.style_choice import Styles
from surgaug.synthesis.style_settings import FOURIER

PILOTS = 16  # pictures of each try
NEAR = 0.1  # what may be lacking; like all that follows in the training frames' standard deviations
FARTHEST = 4.0  # that a code is moved
DIGITS = 1  # of what is added, so that machines that differ in the last bits agree
POOR = 0.7  # lacking in the mean over the numbers; from here on the user is told


def tuned(
    inputs: Inputs,
    samples: Samples,
    paint: Callable[[list[Sample], Styles], Iterable[np.ndarray]],
    feedback: Feedback,
) -> Styles:
    """The styles of `inputs`, with `shift` found where they are of pictures (`tries` above 0).

    paint: (samples, styles) to their images in batches uint8 [B, H, W, 3], of the first stage where there are two. What
    is found depends on model, label maps, styles and seed alone.
    """
    styles = inputs.styles
    if not styles.tries:
        return styles
    bank = np.array([style["code"] for style in inputs.model.first.meta.get("styles", [])], np.float64)
    spread = np.maximum(bank.std(axis=0) if len(bank) else 0.0, SMALLEST_SPREAD) * np.ones(DIMENSION)
    pilots = list(samples.pilots(PILOTS))
    asked = np.mean([styles.draw(inputs.config.seed, pilot.index)[1][:DIMENSION] for pilot in pilots], axis=0)
    with feedback.task("bringing pictures into the style", styles.tries * len(pilots), "pictures") as bar:

        def lacking(shift: np.ndarray) -> np.ndarray:
            moved = replace(styles, shift=(shift * spread).astype(np.float32), fourier=None)
            codes = []
            for images in paint(pilots, moved):
                codes.append(style_code(to_tensor(images, "cpu")).numpy())
                bar.advance(len(images))
            return (np.concatenate(codes).mean(axis=0) - asked) / spread

        found = search(lacking, DIMENSION, styles.tries)
    feedback.info(told(found))
    if found.after > POOR:
        feedback.warn(
            "the model cannot take over this look whole: nothing like it was in its training frames" + cure(styles)
        )
    return replace(styles, shift=(found.shift * spread).astype(np.float32))


def cure(styles: Styles) -> str:
    """What else there is: the light of a picture, unless images have it already; a folder's is of one of its frames."""
    if styles.fourier:
        return ""
    frame = "" if len(styles.names) == 1 else "--style with one frame of them and "
    return f"; {frame}--set {FOURIER}=0.01 gives pictures the light of that frame afterwards"


@dataclass(frozen=True)
class Found:
    """The best shift float [D], and the root mean square of what was lacking without it and with it."""

    shift: np.ndarray
    before: float
    after: float


def told(found: Found) -> str:
    """How far pictures are from the look that was asked for, and what that means."""
    before, after = f"{found.before:.1f}", f"{found.after:.1f}"
    gained = (
        "asking more strongly brought no gain" if after == before else f"{before} before it was asked more strongly"
    )
    taken = "; that is near: training frames differ from each other by 1" if found.after <= POOR else ""
    return f"style: pictures are off by {after} standard deviations of the training frames ({gained}){taken}"


def search(lacking: Callable[[np.ndarray], np.ndarray], dimension: int, tries: int) -> Found:
    """The shift with which least is lacking, of at most `tries`, the first of which is none. Pure, but for `lacking`:
    shift float [D] to what is too much (above 0) or too little (below) with it.

    By Anderson mixing (Anderson 1965): it begins as if codes were heeded fully, and learns from try to try how far they
    are.
    """
    seen: list[tuple[float, np.ndarray]] = []

    def measured(shift: np.ndarray) -> np.ndarray:
        if len(seen) == tries:
            raise _Enough
        tried = shift.round(DIGITS).clip(-FARTHEST, FARTHEST)
        rest = lacking(tried)
        seen.append((float(np.sqrt(np.square(rest).mean())), tried))
        return rest

    try:
        how = {"fatol": NEAR, "maxiter": tries, "line_search": None, "jac_options": {"alpha": -1.0}}
        root(measured, np.zeros(dimension), method="anderson", options=how)
    except _Enough:
        pass
    after, shift = min(seen, key=lambda one: one[0])
    return Found(shift, seen[0][0], after)


class _Enough(Exception):
    """The last try is over."""
