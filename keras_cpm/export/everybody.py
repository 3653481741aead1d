"""The signature "people" of a SavedModel: a graph from encoded bytes to everybody's pose, as
`inference.people.find_poses` finds them, so that a server needs no other detector.
"""

import tensorflow as tf

from ..images import decode, sampling
from ..inference.person_finder import check_person_model, widest, zooms_of
from ..models.forward import StageBeliefs
from ..models.person import MOST_PEOPLE, POSSIBLE, THRESHOLD
from ..pose import codec, geometry, multiscale, search

# too large or wide: beyond any bound of `images.limits`, or of `inference.person_finder`
UNREADABLE = "the image is empty, cut off, too large or wide, or no JPEG, PNG, GIF or BMP"


def people_of(model, spec, person_model, person_spec):
    """A function of `image` (B,) encoded bytes to what `export_saved_model` documents.

    Args:
        model, spec: of poses.
        person_model, person_spec: of a person network, which takes images of any size.

    Raises:
        ValueError: `person_model` is none.
    """
    check_person_model(person_model, person_spec)
    zooms = zooms_of(person_spec)
    # traced once, not once a zoom
    marked = tf.function(StageBeliefs(person_model, person_spec), autograph=False)
    stages = StageBeliefs(model, spec)

    def places(photograph, size):
        pixels, upright_from_pixels = photograph
        found = []
        for zoom in zooms:
            matrix, seen = geometry.network_from_whole_image(size, person_spec, zoom=zoom)
            matrix = geometry.compose(matrix, upright_from_pixels)
            seen = sampling.warp(pixels, matrix, seen, fill=person_spec.pad_value)
            beliefs = marked(seen[None])[-1][0, :, :, 0]
            found.append(
                search.places_in_zoom(beliefs, size, person_spec, zoom=zoom, threshold=POSSIBLE)
            )
        return search.surest_places(found)

    def look_in_sizes(photograph, center, heights):
        """The poses at one place, one a height."""
        matrices = [
            geometry.network_from_image(center, height, spec) for height in tf.unstack(heights)
        ]
        crops = tf.stack([sampling.crop(*photograph, matrix, spec) for matrix in matrices])
        keypoints, scores = codec.decode(stages(crops)[-1], spec)
        return geometry.apply(geometry.invert(tf.stack(matrices)), keypoints), scores

    def look_closely(photograph, center, height):
        """The pose at one place, of beliefs averaged over sizes."""
        network_from_image = geometry.network_from_image(center, height, spec)
        matrices = [
            geometry.compose(geometry.zoomed_from_network(zoom, spec), network_from_image)
            for zoom in search.LAST
        ]
        crops = tf.stack([sampling.crop(*photograph, matrix, spec) for matrix in matrices])
        by_zoom = tf.unstack(stages(crops)[-1][:, None])
        keypoints, scores = codec.decode(*multiscale.merge_zooms(by_zoom, search.LAST, spec))
        return geometry.apply(geometry.invert(network_from_image), keypoints)[0], scores[0]

    def everybody(data):
        *photograph, size, error = _opened(data, zooms, person_spec)

        def at_places(look):
            def looks(centers, heights):
                shape = [*heights.shape[1:], spec.num_parts]
                return tf.map_fn(
                    lambda place: look(photograph, *place),
                    (centers, heights),
                    fn_output_signature=(tf.TensorSpec([*shape, 2]), tf.TensorSpec(shape)),
                    parallel_iterations=1,  # as much memory as one place takes
                )

            return looks

        looks = at_places(look_in_sizes), at_places(look_closely)
        limits = {"threshold": THRESHOLD, "most": MOST_PEOPLE}
        seen = search.everybody(*looks, places(photograph, size), size, **limits)
        return _padded(seen, error)

    def people(image):
        shapes = {"keypoints": [spec.num_parts, 2], "scores": [spec.num_parts], "boxes": [4]}
        signature = {
            name: tf.TensorSpec([MOST_PEOPLE, *shape])
            for name, shape in (shapes | {"person_scores": []}).items()
        }
        signature |= {"count": tf.TensorSpec([], tf.int32), "error": tf.TensorSpec([], tf.string)}
        return tf.map_fn(everybody, image, fn_output_signature=signature, parallel_iterations=1)

    return people


def _opened(data, zooms, person_spec):
    """Pixels to search, upright_from_pixels, the upright size, and "" or what is wrong."""

    @tf.autograph.experimental.do_not_convert
    def opened(data):
        photograph = decode.read_image(data)
        size = geometry.upright_size(tf.shape(photograph[0])[:2], photograph[1])
        sound = tf.debugging.assert_less_equal(size[1], widest(size[0], person_spec, max(zooms)))
        with tf.control_dependencies([sound]):
            return *sampling.at_side(*photograph, search.SIDE), size, tf.constant("")

    nothing = (tf.zeros([1, 1, 3]), tf.eye(3), tf.ones([2], tf.int32), UNREADABLE)
    # the one operation that catches an error inside a graph is a data set's
    rows = tf.data.Dataset.from_tensors(data).map(opened).ignore_errors()
    return rows.concatenate(tf.data.Dataset.from_tensors(nothing)).take(1).get_single_element()


def _padded(seen, error):
    """One row of the answer: nobody where something is wrong, and zeros behind the last person."""
    boxes = search.boxes_around(seen.keypoints, seen.scores)
    count = tf.where(error == "", tf.shape(boxes)[0], 0)
    columns = {
        "keypoints": seen.keypoints,
        "scores": seen.scores,
        "boxes": boxes,
        "person_scores": seen.person_scores,
    }
    missing = MOST_PEOPLE - count
    row = {
        name: tf.pad(column[:count], [[0, missing], *[[0, 0]] * (column.shape.rank - 1)])
        for name, column in columns.items()
    }
    return {**row, "count": count, "error": error}
