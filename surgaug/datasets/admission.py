"""What was put into a data set, what was refused and why, and what was admitted: by class and by video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from surgaug.io.manifest import Row
from surgaug.labels.label_space import LabelSpace
from surgaug.runtime.feedback import Feedback

ADMISSION = "admission.json"
TOO_LITTLE = "agreement below --least-agreement"


@dataclass
class Admission:
    """Counts of images, by video and in all, and of images and pixels by class id.

    refused: images left out, by (video, reason). doubted: pixels of admitted images that have no label any more.
    """

    space: LabelSpace
    admitted: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    images: Counter[int] = field(default_factory=Counter)
    pixels: Counter[int] = field(default_factory=Counter)
    doubted: Counter[int] = field(default_factory=Counter)
    refused_images: Counter[int] = field(default_factory=Counter)

    def admit(self, row: Row) -> None:
        """An image that was taken, by its row."""
        self.admitted[_video(row)] += 1
        kept, doubted = _by_id(row.get("classes", {})), _by_id(row.get("doubted", {}))
        self.images.update(kept.keys() | doubted.keys())
        self.pixels.update(kept)
        self.doubted.update(doubted)

    def refuse(self, row: Row, reason: str) -> None:
        """An image that was left out, by its row."""
        self.refused[_video(row), reason] += 1
        self.refused_images.update(_by_id(row.get("classes", {})).keys() | _by_id(row.get("doubted", {})).keys())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types. `put_in` = `admitted` + `refused`, everywhere."""
        reasons: Counter[str] = Counter()
        for (_, reason), n in self.refused.items():
            reasons[reason] += n
        refused = self.refused.total()
        videos = sorted(self.admitted.keys() | {video for video, _ in self.refused})
        return {
            "format": "surgaug-admission-1",
            "images": {
                "put_in": self.admitted.total() + refused,
                "admitted": self.admitted.total(),
                "refused": refused,
            },
            "reasons": dict(reasons),
            "videos": [self._of_video(video) for video in videos],
            "classes": [self._of_class(c.id, c.name) for c in self.space.classes if self._shown(c.id)],
        }

    def tell(self, feedback: Feedback) -> None:
        """Both tables, and the reasons in one line."""
        found = self.to_dict()
        total, reasons = found["images"], found["reasons"]
        why = "".join(f"; {n} refused: {reason}" for reason, n in reasons.items())
        feedback.table(
            f"Admitted: {total['admitted']} of {total['put_in']} images{why}",
            ["video", "put in", "refused", "admitted"],
            [[v["video"], v["put_in"], v["refused"], v["admitted"]] for v in found["videos"]],
        )
        feedback.table(
            "Admitted, by class",
            ["id", "class", "images", "refused", "pixels", "not trusted"],
            [
                [c["id"], c["name"], c["put_in"], c["refused"], f"{c['pixels']:,}", f"{100 * c['doubted_share']:.1f} %"]
                for c in found["classes"]
            ],
        )

    def _shown(self, i: int) -> bool:
        return bool(self.images[i] or self.refused_images[i])

    def _of_video(self, video: str) -> dict[str, Any]:
        refused = sum(n for (of, _), n in self.refused.items() if of == video)
        admitted = self.admitted[video]
        return {"video": video, "put_in": admitted + refused, "refused": refused, "admitted": admitted}

    def _of_class(self, i: int, name: str) -> dict[str, Any]:
        admitted, refused = self.images[i], self.refused_images[i]
        kept, doubted = self.pixels[i], self.doubted[i]
        share = doubted / max(1, kept + doubted)
        counts = {"put_in": admitted + refused, "refused": refused, "admitted": admitted}
        return {"id": i, "name": name, **counts, "pixels": kept, "doubted": doubted, "doubted_share": share}


def admission_of(admitted: Iterable[Row], refused: Iterable[Row], space: LabelSpace) -> Admission:
    """Of the rows of a manifest, and of those that the judge refused."""
    out = Admission(space)
    for row in admitted:
        out.admit(row)
    for row in refused:
        out.refuse(row, TOO_LITTLE)
    return out


def _video(row: Row) -> str:
    return row.get("video") or "none"


def _by_id(counts: dict[str, int]) -> dict[int, int]:
    return {int(i): n for i, n in counts.items()}
