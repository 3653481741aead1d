"""Several people in one photograph: where they are, so that the pose network can look at each.

As in the release's demo.ipynb: a person network marks the middle of everybody, the pose network
then runs once a person. Boxes or centres of any other detector do as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..images import decode, sampling
from ..models import bundle
from ..models.forward import StageBeliefs, takes_center_map
from ..models.released import released_spec
from ..pose import geometry, multiscale
from ..pose.spec import Array, PoseSpec
from .runner import inference_of

_ZOOMS, _NEAR = (0.5, 1.0, 2.0), 0.4

# network pixels; a photograph of that width takes about 2 GB
_WIDEST = 10 * 368


def find_people(
    image: Path | str | bytes | Array,
    model: keras.Model,
    spec: PoseSpec,
    *,
    threshold: float = 0.5,
    zooms: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Finds the people of a photograph with a person network.

    For each zoom the photograph is scaled to `zoom * spec.box_size` pixels in height, padded on the
    right to a multiple of the stride; every local maximum of the last stage's beliefs is a person
    who stands `spec.person_height` tall there. Of what several zooms find within 0.4 heights the
    surest counts.

    Args:
        image: path, bytes of an image file, or array (H, W, 3) RGB 0..255.
        model: fully convolutional `keras.Model`, such as `build_released("person")`.
        spec: `PoseSpec` of it; one part.
        threshold: belief above which a maximum is a person.
        zooms: `None` for 1 with the release's network, as in demo.ipynb, and 1/2, 1 and 2 with
            others, which know people within a factor of two, see `data.synthetic.groups`.

    Returns:
        list of {"center": (x, y), "person_height": h}, image frame, pixels, the surest first: the
        places that `Predictor.predict_people` takes.

    Example:
        >>> import numpy as np, keras_cpm
        >>> model = keras_cpm.build_released("person", width=8)
        >>> spec = keras_cpm.released_spec("person")
        >>> keras_cpm.find_people(np.zeros((60, 80, 3)), model, spec)
        []
    """
    bundle.check_model(model, spec)
    if spec.num_parts != 1 or takes_center_map(model):
        raise ValueError(
            "`model` must be a person network: one part and no center map, such as "
            f'`build_released("person")`. Received: the parts {list(spec.skeleton.parts)}'
        )
    if zooms is None:
        zooms = (1.0,) if spec == released_spec("person") else _ZOOMS
    photograph = decode.open_image(image)
    found = [_find(photograph, model, spec, threshold, zoom) for zoom in zooms]
    return _surest([one for many in found for one in many])


def _find(photograph, model, spec, threshold, zoom):
    """(belief, place) of everybody whom the network sees in one zoom."""
    pixels, upright_from_stored = photograph
    size = geometry.upright_size(tf.shape(pixels)[:2], upright_from_stored)
    network_from_image, network_size = geometry.network_from_whole_image(size, spec, zoom=zoom)
    if network_size[1] > _WIDEST:
        raise ValueError(
            f"`image` must be no wider than {_WIDEST // network_size[0]} times its height to be "
            f"searched for people; cut it. Received: {size.numpy().tolist()} (height, width)"
        )
    network_from_stored = geometry.compose(network_from_image, upright_from_stored)
    seen = sampling.warp(pixels, network_from_stored, network_size, fill=spec.pad_value)
    beliefs = StageBeliefs(model, spec, run=inference_of(model))(seen.numpy()[None])[-1]
    peaks, heights = multiscale.find_peaks(
        np.asarray(beliefs)[0, :, :, 0], spec, threshold=threshold
    )
    centers = geometry.apply(geometry.invert(network_from_image), peaks).numpy()
    person_height = float(geometry.height_in_whole_image(size, spec, zoom=zoom))
    return [
        (float(belief), {"center": tuple(center), "person_height": person_height})
        for belief, center in zip(heights, centers.tolist(), strict=True)
    ]


def _surest(found):
    kept = []
    for _, place in sorted(found, key=lambda one: -one[0]):
        if all(_apart(place, other) for other in kept):
            kept.append(place)
    return kept


def _apart(place, other):
    distance = np.hypot(*np.subtract(place["center"], other["center"]))
    # two of one zoom are two maxima of one map
    same_zoom = place["person_height"] == other["person_height"]
    return same_zoom or distance > _NEAR * max(place["person_height"], other["person_height"])
