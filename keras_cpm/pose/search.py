"""From where somebody might be to everybody's pose: who is looked at again, in which sizes, who
counts as a person, and who is the same person twice.

A person network says roughly where somebody is and how tall; the pose network, which looks closer,
says better, and whether anybody is there at all. So each find is looked at in several sizes, again
where its surest pose is, and kept if that pose is sure and nobody else's. All looks are at places
of a `lattice`.

Everything is TensorFlow operations, so the same function runs eagerly and in a SavedModel. N, K are
numbers of people or places, S of sizes, P of parts; all lengths and points are of the image frame,
in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from . import geometry, lattice, multiscale
from .arithmetic import tf
from .spec import Array, PoseSpec

# longest side, in pixels, of a photograph in which people are looked for: whoever is an eighth of
# its height, and nobody smaller is looked at, still has 100 pixels or more
SIDE = 1024
# heights of the lattice that are tried of a find, as factors: first far from each other, then the
# neighbours of the best
FIRST = (0.5, 1 / lattice.STEP, 1.0, lattice.STEP)
THEN = (1 / lattice.STEP, 1.0, lattice.STEP)
# the beliefs of these are averaged: one look alone moves with every change of the photograph
LAST = (0.85, 1.0, 1.18)
# so many places are looked at, the surest: their boxes are in memory at once, 0.2 GB of 192 pixels
MOST_PLACES = 120
# a find of a lower score, in shares of the threshold, is not looked at again
WORTH_A_LOOK = 0.5
# a part with a lower score says nothing of where a person is
SURE = 0.25
# of one person are two poses of which so many parts lie within that share of the height
SAME_PARTS, SAME_PLACE = 0.4, 0.1
# of one person are two finds of different zooms that are nearer than that, in heights
NEAR = 0.4

# see `everybody`
Look = Callable[[Any, Any], tuple[Any, Any]]


class Places(NamedTuple):
    """Where people might be, the surest first.

    Args:
        centers: (K, 2).
        heights: (K,) of a person there.
        beliefs: (K,) of the person network.
    """

    centers: Array
    heights: Array
    beliefs: Array


class Seen(NamedTuple):
    """People.

    Args:
        keypoints: (N, P, 2).
        scores: (N, P) of the parts.
        person_scores: (N,), see `person_scores`.
        centers: (N, 2) and
        heights: (N,) where the network looked.
        looks: (N,) int32, the number of that look among all of its round.
    """

    keypoints: Array
    scores: Array
    person_scores: Array
    centers: Array
    heights: Array
    looks: Array


def places_in_zoom(
    belief_map: Array, size: Array, spec: PoseSpec, *, zoom: float, threshold: float
) -> Places:
    """The places that a person network marks in one zoom of a photograph.

    Args:
        belief_map: (h, w), of `geometry.network_from_whole_image`.
        size: (height, width) of the photograph.
        spec: `PoseSpec` of the network.
        zoom: of the photograph.
        threshold: beliefs are higher than that.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import PoseSpec
        >>> from keras_cpm.pose import search
        >>> beliefs = np.zeros((46, 46), np.float32)
        >>> beliefs[20, 30] = 1
        >>> size, spec = (368, 368), PoseSpec()
        >>> search.places_in_zoom(beliefs, size, spec, zoom=1.0, threshold=0.5).centers.numpy()
        array([[243., 163.]], dtype=float32)
    """
    peaks, beliefs = multiscale.find_peaks(belief_map, spec, threshold=threshold)
    network_from_image, _ = geometry.network_from_whole_image(size, spec, zoom=zoom)
    centers = geometry.apply(geometry.invert(network_from_image), peaks)
    height = geometry.height_in_whole_image(size, spec, zoom=zoom)
    return Places(centers, tf.fill(tf.shape(beliefs), height), beliefs)


def surest_places(zooms: list[Places]) -> Places:
    """The places of several zooms as one: of what lies within 0.4 heights the surest counts."""
    places = Places(*(tf.concat(column, axis=0) for column in zip(*zooms, strict=True)))
    distance = tf.norm(places.centers[:, None] - places.centers, axis=-1)
    tallest = tf.maximum(places.heights[:, None], places.heights)
    # two of one zoom are two maxima of one map
    other_zoom = places.heights[:, None] != places.heights
    return _suppress(places, other_zoom & (distance <= NEAR * tallest), places.beliefs)


def everybody(
    look: Look,
    look_closely: Look,
    places: Places,
    size: Array,
    *,
    threshold: Array,
    most: Array,
) -> Seen:
    """The poses of everybody in a photograph.

    Args:
        look: function of centers (K, 2) and heights (K, S) to the keypoints (K, S, P, 2) and scores
            (K, S, P) that a pose network sees there.
        look_closely: function of centers (K, 2) and heights (K,) to the keypoints (K, P, 2) and
            scores (K, P) of beliefs averaged over `LAST` times the height.
        places: the first 120 are looked at.
        size: (height, width) of the photograph.
        threshold: person score above which somebody is a person.
        most: people at most, the surest.

    Returns:
        `Seen`, the surest first.
    """
    first = Places(*(column[:MOST_PLACES] for column in places))
    centers, heights = lattice.nearest(first.centers, first.heights, size)
    for factors in (FIRST, THEN):
        seen = _look(look, centers, heights, factors, size)
        seen = _apart(seen, WORTH_A_LOOK * threshold)
        centers, _ = geometry.center_and_height(boxes_around(seen.keypoints, seen.scores))
        centers, heights = lattice.nearest(centers, seen.heights, size)
    keypoints, scores = look_closely(centers, heights)
    sureness, looks = person_scores(keypoints, scores, size), tf.range(tf.shape(heights)[0])
    seen = _apart(Seen(keypoints, scores, sureness, centers, heights, looks), threshold)
    return Seen(*(column[:most] for column in seen))


def person_scores(keypoints: Array, scores: Array, size: Array) -> Array:
    """(...,) how sure it is that (..., P, 2) keypoints are a person's: the mean score of all parts,
    of which those outside a photograph of `size` (height, width) count 0: nobody sees them.
    """
    inside = geometry.inside_image(keypoints, size)
    return tf.reduce_mean(tf.where(inside, tf.cast(scores, tf.float32), 0.0), axis=-1)


def boxes_around(keypoints: Array, scores: Array) -> Array:
    """(..., 4) x0, y0, x1, y1 around the sure ones of (..., P, 2) keypoints, or the surest one."""
    sure = scores >= tf.minimum(SURE, tf.reduce_max(scores, axis=-1, keepdims=True))
    return geometry.box_around(keypoints, sure)


def _look(
    look: Look, centers: Array, heights: Array, factors: tuple[float, ...], size: Array
) -> Seen:
    """Of each place the surest of the poses in several sizes."""
    heights = heights[:, None] * tf.constant(factors)
    keypoints, scores = look(centers, heights)
    columns = keypoints, scores, person_scores(keypoints, scores, size), heights
    best = tf.argmax(columns[2], axis=1, output_type=tf.int32)
    keypoints, scores, sureness, heights = (tf.gather(c, best, batch_dims=1) for c in columns)
    looks = tf.range(tf.shape(best)[0]) * len(factors) + best
    return Seen(keypoints, scores, sureness, centers, heights, looks)


def _apart(seen: Seen, threshold: Array) -> Seen:
    """Those above the threshold, the surest first, and nobody twice."""
    above = tf.where(seen.person_scores > threshold)[:, 0]
    seen = Seen(*(tf.gather(column, above) for column in seen))
    sure = seen.scores >= SURE
    distance = tf.norm(seen.keypoints[:, None] - seen.keypoints, axis=-1)
    tallest = tf.maximum(seen.heights[:, None], seen.heights)
    near = distance < SAME_PLACE * tallest[..., None]
    shared = _count(near & sure[:, None] & sure)
    enough = SAME_PARTS * tf.maximum(1.0, _count(sure))
    return _suppress(seen, shared >= enough[:, None], seen.person_scores)


def _count(chosen: Array) -> Array:
    return tf.reduce_sum(tf.cast(chosen, tf.float32), axis=-1)


def _suppress(rows: Any, same: Array, scores: Array) -> Any:
    """Rows in the order of their scores, without those who are the same, (N, N), as a surer one."""
    same = tf.cast(same, tf.float32)
    kept = tf.image.non_max_suppression_overlaps(same, scores, tf.shape(scores)[0], 0.5)
    return type(rows)(*(tf.gather(column, kept) for column in rows))
