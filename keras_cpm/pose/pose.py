"""`Pose`: what a prediction says of one figure."""

from dataclasses import dataclass

import numpy as np

from .spec import PoseSpec


@dataclass(frozen=True, eq=False)
class Pose:
    """Where the parts of one figure are.

    Args:
        keypoints: (P, 2) float32 points (x, y) of the last stage, image frame, pixels of the
            upright image.
        scores: (P,) float32 height of the belief peaks; about 1 where the network is sure.
        parts: P names.
        stage_keypoints: (T, P, 2), the same for every stage; what follows is `None` where a server
            answered, which sends the last stage's keypoints alone.
        stage_scores: (T, P).
        beliefs: list of T arrays (h, w, C), belief frame.
        network_from_image: (3, 3), the crop.
        spec: `PoseSpec` that says how to read `beliefs`; finer than the model's after a test at
            several scales.

    Example:
        >>> import numpy as np, keras_cpm
        >>> spec = keras_cpm.PoseSpec(box_size=64)
        >>> predictor = keras_cpm.Predictor(keras_cpm.build_cpm(2, spec, width=8), spec)
        >>> pose = predictor(np.zeros((48, 60, 3)))
        >>> sorted(pose.to_dict()["keypoints"]["neck"])
        ['score', 'x', 'y']
    """

    keypoints: np.ndarray
    scores: np.ndarray
    parts: tuple[str, ...]
    stage_keypoints: np.ndarray | None = None
    stage_scores: np.ndarray | None = None
    beliefs: list[np.ndarray] | None = None
    network_from_image: np.ndarray | None = None
    spec: PoseSpec | None = None

    def to_dict(self) -> dict[str, dict[str, dict[str, float]]]:
        """JSON values: by part name x, y (image pixels) and score."""
        points = zip(self.parts, self.keypoints.tolist(), self.scores.tolist(), strict=True)
        return {
            "keypoints": {
                part: {"x": round(x, 2), "y": round(y, 2), "score": round(score, 4)}
                for part, (x, y), score in points
            }
        }
