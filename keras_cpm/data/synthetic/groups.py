"""Pictures of several people of many sizes, put together from photographs of one: what a person
network learns from.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from ...images import decode, marks, sampling
from ...pose import geometry
from ...pose.arithmetic import by_tensorflow, tf
from ..records import NOT_LABELLED, VISIBLE, Person, Record

PARTS = ("center",)
# Heights of people in shares of the spec's height: those to be found; all others are too small or
# too large, for the network to look at in another zoom of the photograph. The bounds are a factor
# of two apart, and so are the zooms.
FOUND = (0.71, 1.42)
_SMALLER, _LARGER, _SHARE_FOUND = (0.2, 0.6), (1.7, 2.8), 0.65
_MOST_PEOPLE = 3
# How far a photograph is shown around its person's centre, in heights: never a whole one, or its
# middle would give the person away.
_SHOWN = (0.45, 1.2)
_BACKDROP_CELLS = 6
_JPEG_QUALITY = 92


def draw_groups(records, directory, count, spec, *, seed=0, progress=None):
    """Writes pictures of none to three people each, cut from the photographs of `records`.

    Args:
        records: list of `Record` with centre and height of the primary person; nobody else should
            be in sight, which in sports photographs is true of most.
        directory: of the pictures; made if it does not exist.
        count: how many.
        spec: `PoseSpec` of the person network: pictures are `box_size` square, people to be found
            stand 0.71 to 1.42 `person_height` tall.
        seed: of the series; the same arguments write the same pictures.
        progress: wraps the range of indices, such as `tqdm.tqdm`.

    Returns:
        list of `Record` of the one part "center", an entry in `people` a person to be found; where
        there is none, one that is not labelled. To be trained on with `missing="zero"`.

    Raises:
        ValueError: as `data.pipeline.check_records` for records.
        OSError: a picture cannot be written; those before stay.

    Example:
        >>> import tempfile
        >>> from keras_cpm import PoseSpec, draw_records
        >>> from keras_cpm.data.synthetic.groups import PARTS, draw_groups
        >>> from keras_cpm.pose.skeleton import skeleton_of
        >>> spec = PoseSpec(skeleton_of(PARTS), box_size=96, background=False)
        >>> folder = tempfile.mkdtemp()
        >>> groups = draw_groups(draw_records(folder, 2), folder, 3, spec)
        >>> len(groups), groups[0].size, groups[0].parts
        (3, (96, 96), ('center',))
    """
    found = []
    # which knows JPEG and ways to resize that NumPy does not
    with by_tensorflow():
        for i in (progress or iter)(range(count)):
            path = Path(directory) / picture_name(i)
            found.append(_drawn(path, records, spec, np.random.default_rng([seed, i])))
    return found


def _drawn(path, records, spec, rng):
    picture, people = _group(records, spec, rng)
    pixels = tf.cast(tf.round(picture), tf.uint8)
    marks.write_marked(path, tf.io.encode_jpeg(pixels, quality=_JPEG_QUALITY).numpy())
    return Record(str(path.resolve()), picture.shape[:2], PARTS, people, dataset="groups")


def picture_name(index):
    """Of a picture's file."""
    return f"{index:06}.jpg"


def _group(records, spec, rng):
    """A picture (s, s, 3) and its people."""
    side = spec.box_size
    picture = _backdrop(records[rng.integers(len(records))], side, rng)
    edges = np.linspace(0, side, rng.integers(1, _MOST_PEOPLE + 1) + 1)
    centers = []
    for left, right in itertools.pairwise(edges):
        record, size = records[rng.integers(len(records))], _draw_size(rng)
        # of a photograph that is larger than the picture the person need not be in sight
        center = np.array([rng.uniform(left, right), rng.uniform(0.1, 0.9) * side])
        shown, pixels = _place(record, center, size, spec, rng)
        shown &= (np.arange(side) >= left) & (np.arange(side) < right)
        picture = np.where(shown[..., None], pixels, picture)
        column, row = np.minimum(np.rint(center), side - 1).astype(int)
        if FOUND[0] <= size <= FOUND[1] and shown[row, column]:
            centers.append(center)
    middle = {"center": geometry.image_center((side, side)).numpy(), "height": spec.person_height}
    people = [Person([center], [VISIBLE], **middle) for center in centers]
    return picture, people or [Person([(0, 0)], [NOT_LABELLED], **middle)]


def _backdrop(record, side, rng):
    """Colours and shades of a photograph without what is in it."""
    pixels, _ = decode.open_image(record.image)
    blurred = tf.image.resize(pixels, (_BACKDROP_CELLS,) * 2, method="area")
    smooth = tf.image.resize(blurred, (side, side), method="bicubic").numpy()
    return np.clip(smooth + rng.normal(0, rng.uniform(0, 12), smooth.shape), 0, 255)


def _draw_size(rng):
    if rng.random() < _SHARE_FOUND:
        low, high = FOUND
    else:
        low, high = _SMALLER if rng.random() < 0.5 else _LARGER
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _place(record, center, size, spec, rng):
    """Which pixels show a photograph, (s, s) bool, and all (s, s, 3), its person at `center`."""
    person, side = record.people[0], spec.box_size
    pixels, upright_from_stored = decode.open_image(record.image)
    network_from_image = geometry.network_from_image(
        person.center,
        person.height,
        spec,
        scale=size,
        flip=rng.random() < 0.5,
        shift=center - spec.center,
    )
    matrix = geometry.compose(network_from_image, upright_from_stored)
    pixels = tf.concat([pixels, tf.ones_like(pixels[..., :1])], axis=-1)
    warped = sampling.warp(pixels, matrix, (side, side), fill=0).numpy()
    shown = warped[..., 3] > 0.99
    reach = rng.uniform(*_SHOWN, 4) * size * spec.person_height
    x, y = geometry.apply_to_grid(geometry.shift_matrix(-center), (side, side))
    for away, (before, after) in zip((y, x), reach.reshape(2, 2), strict=True):
        shown &= (away.numpy() > -before) & (away.numpy() < after)
    return shown, warped[..., :3]
