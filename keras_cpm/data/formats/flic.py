"""Reader of FLIC, Frames Labeled In Cinema: upper bodies in film stills.

Where a figure stands and how tall it is follows the release of the paper, genJSON.m.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...pose.skeleton import FLIC9
from ...pose.spec import Progress
from ..photographs import within
from ..placement import with_others
from ..records import NOT_LABELLED, VISIBLE, Person, Record
from .matlab import field, laid_out, number, read_mat, rows, text

_SPLITS = ("train", "test")
_SIDES = ("observer", "person")

# Columns of `coords` that hold the parts of FLIC9; the eyes (12, 13) are left out, the rest is NaN.
_COLUMNS = [0, 1, 2, 3, 4, 5, 6, 9, 16]

# genJSON.m: `scale` is 0.0110 of the torso's height, and 200 pixels are of scale 1.
_HEIGHT_OF_TORSO = 200 * 0.0110
_CENTER_OF_TORSO = (0.5, 0.3)  # x, y as a share of the torso box

# Mean distance of two examples of one figure, in torsos (left shoulder to right hip): in the file
# it is below 0.2 or above 0.5, and nothing lies between.
_SAME_FIGURE = 0.3


def load_flic(
    root: Path | str,
    split: str,
    *,
    sides: str = "observer",
    progress: Progress | None = None,
) -> list[Record]:
    """Reads one split of FLIC, in the order of examples.mat; parts are those of `FLIC9`.

    The published numbers take left and right as the observer sees them: the shoulder farther to the
    right of the photograph is the left one. The file follows the person; 48 of the 1016 test
    examples and 199 of the 3987 training ones change sides.

    The others of a photograph are its other examples in the same split. The release takes all of
    them; here an example that labels a figure once more, a few pixels off, is no other, because it
    would double the peaks: 119 of 750 others remain in training, 17 of 182 in the test. Two
    photographs have their person labelled once for training and once for the test.

    Args:
        root: folder that holds examples.mat and images/. The images need not be there.
        split: "train" or "test".
        sides: "observer", or "person" for the labels as in the file.
        progress: wraps the list of examples as it is gone through, for example `tqdm.tqdm`.

    Returns:
        One record an example, its person first. Keypoints (9, 2) and center are (x, y) in the image
        frame, pixels, (0, 0) the centre of the top-left one; height is in the same pixels, 2.2
        torso boxes. Every part is visible (2), also the few that lie outside the photograph; one
        without coordinates is not labelled (0). `attributes` hold index, the number of the example
        in the file, from 1, movie and frame; a person's `attributes["torsobox"]` is (x0, y0, x1,
        y1), image frame. `split` is "train" or "test", `dataset` "flic".

    Raises:
        ValueError: unknown `split` or `sides`, or another examples.mat.
        FileNotFoundError: there is no examples.mat.

    Example:
        >>> from keras_cpm.data.formats.flic import load_flic
        >>> records = load_flic("path/to/flic", "test")  # doctest: +SKIP
        >>> len(records), records[0].people[0].keypoints.shape  # doctest: +SKIP
        (1016, (9, 2))
    """
    for name, value, known in (("split", split, _SPLITS), ("sides", sides, _SIDES)):
        if value not in known:
            raise ValueError(f"`{name}` must be one of {list(known)}. Received: {name}={value!r}")
    root = Path(root).absolute()
    with laid_out(root / "examples.mat"):
        examples = {
            index: example
            for index, example in enumerate(_read_examples(root), 1)
            if number(example, f"is{split}")
        }
        people = {index: _person(example, sides) for index, example in examples.items()}
        photographs = {}
        for index, example in examples.items():
            photographs.setdefault(text(example, "filepath"), []).append(people[index])
        others = {path: iter(with_others(several)) for path, several in photographs.items()}
        return [
            _record(root, split, index, examples[index], others)
            for index in (progress(list(examples)) if progress else examples)
        ]


def _record(root, split, index, example, others):
    path = text(example, "filepath")
    return Record(
        image=within(root / "images", path, "filepath"),
        size=field(example, "imgdims").ravel()[:2].tolist(),
        parts=FLIC9.parts,
        people=_different(next(others[path])),
        split=split,
        dataset="flic",
        attributes={
            "index": index,
            "movie": text(example, "moviename"),
            "frame": int(number(example, "currframe")),
        },
    )


def _read_examples(root):
    path = root / "examples.mat"
    if not path.is_file():
        raise FileNotFoundError(
            "`root` must hold examples.mat; extract the archive of FLIC there. "
            f"Received: root={str(root)!r}"
        )
    content = read_mat(path)
    examples = rows(content.get("examples"))
    if not examples or "torsobox" not in examples[0].dtype.names:
        raise ValueError(
            f"{path} must hold `examples` with `torsobox`, as FLIC does; extract its archive "
            f"again. Received: {sorted(content)}"
        )
    return examples


def _person(example, sides):
    keypoints = field(example, "coords")[:, _COLUMNS].T - 1.0  # MATLAB counts pixels from 1
    right_shoulder, left_shoulder = (FLIC9.index(f"{side}_shoulder") for side in ("right", "left"))
    if sides == "observer" and keypoints[right_shoulder, 0] > keypoints[left_shoulder, 0]:
        keypoints = keypoints[list(FLIC9.flip_permutation)]
    x0, y0, x1, y1 = box = field(example, "torsobox").ravel().astype(float) - 1
    across, down = _CENTER_OF_TORSO
    return Person(
        keypoints,
        np.where(np.isfinite(keypoints).all(axis=1), VISIBLE, NOT_LABELLED),
        center=(x0 + across * (x1 - x0), y0 + down * (y1 - y0)),
        height=_HEIGHT_OF_TORSO * (y1 - y0),
        attributes={"torsobox": box.tolist()},
    )


def _different(people):
    """Those of `people` who are not an earlier one labelled again."""
    points = np.stack([person.keypoints for person in people])
    distances = np.linalg.norm(points[:, None] - points, axis=-1).mean(-1)
    ends = points[:, [FLIC9.index(part) for part in FLIC9.torso]]
    torsos = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1)
    same = distances <= _SAME_FIGURE * torsos[:, None]
    different = []
    for i in range(len(people)):
        if not same[i, different].any():
            different.append(i)
    return [people[i] for i in different]
