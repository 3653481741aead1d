"""Several people in one photograph: where they are, so that the pose network can look at each.

As in the release's demo.ipynb: a person network marks the middle of everybody, the pose network
then runs once a person. Boxes or centres of any other detector do as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..images import decode, sampling
from ..models import bundle
from ..models.forward import takes_center_map
from ..models.person import POSSIBLE, ZOOMS
from ..models.released import released_spec
from ..pose import geometry, search
from ..pose.arithmetic import tf
from ..pose.spec import Array, PoseSpec
from .engine import stage_beliefs

if TYPE_CHECKING:
    import keras

    from ..models.litert.network import LiteRTNetwork

_ZOOMS = (0.5, 1.0, 2.0)

# network pixels; a photograph of that width takes about 2 GB
_WIDEST = 10 * 368


def find_people(
    image: Path | str | bytes | Array,
    model: keras.Model | LiteRTNetwork,
    spec: PoseSpec,
    *,
    threshold: float = 0.5,
    zooms: Sequence[float] | None = None,
) -> list[dict[str, Any]]:
    """Finds the people of a photograph with a person network.

    The photograph is brought to `pose.search.SIDE` pixels, so that its resolution does not matter.
    For each zoom it is then scaled to `zoom * spec.box_size` pixels in height, padded on the
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
    check_person_model(model, spec)
    if zooms is None:
        zooms = (1.0,) if spec == released_spec("person") else _ZOOMS
    pixels, upright_from_stored = decode.open_image(image)
    size = geometry.upright_size(tf.shape(pixels)[:2], upright_from_stored)
    photograph = *sampling.at_side(pixels, upright_from_stored, search.SIDE), size
    places = search.surest_places(
        [_find(photograph, model, spec, threshold, zoom) for zoom in zooms]
    )
    columns = (np.asarray(places.centers).tolist(), np.asarray(places.heights).tolist())
    return [
        {"center": tuple(center), "person_height": height}
        for center, height in zip(*columns, strict=True)
    ]


def load_finder(model: str | Path | None = None) -> Callable[[Any], list[dict[str, Any]]]:
    """A function from an image to all places that are worth a look of `find_poses`.

    Args:
        model: folder or name of a bundle that finds people; `None` is the shipped one.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.inference.person_finder import load_finder
        >>> find = load_finder()
        >>> find(np.zeros((60, 80, 3)))
        []
    """
    return finder_of(*bundle.load(model or bundle.default_person_bundle()))


def finder_of(
    model: keras.Model | LiteRTNetwork, spec: PoseSpec
) -> Callable[[Any], list[dict[str, Any]]]:
    """`load_finder` of a network that is loaded."""
    return partial(find_people, model=model, spec=spec, threshold=POSSIBLE, zooms=zooms_of(spec))


def check_person_model(model, spec):
    """Raises one sentence unless `model` is a network of `spec` that finds people."""
    bundle.check_model(model, spec)
    if spec.num_parts != 1 or takes_center_map(model):
        raise ValueError(
            "`model` must be a person network: one part and no center map, such as "
            f'`build_released("person")`. Received: the parts {list(spec.skeleton.parts)}'
        )


def zooms_of(spec):
    """Zooms of a photograph in which the person network of `spec` looks for places, of which a pose
    network then says whether somebody is there; the release's looks once, as in demo.ipynb.
    """
    return (1.0,) if spec == released_spec("person") else ZOOMS


def widest(height, spec, zoom):
    """How wide a photograph of that height may be to be looked at, pixels."""
    return height * (_WIDEST // round(zoom * spec.box_size))


def _find(photograph, model, spec, threshold, zoom):
    """The places of everybody whom the network sees in one zoom."""
    pixels, upright_from_pixels, size = photograph
    network_from_image, network_size = geometry.network_from_whole_image(size, spec, zoom=zoom)
    height, width = np.asarray(size).tolist()
    if width > widest(height, spec, zoom):
        raise ValueError(
            f"`image` must be no wider than {widest(1, spec, zoom)} times its height to be "
            f"searched for people; cut it. Received: {[height, width]} (height, width)"
        )
    network_from_pixels = geometry.compose(network_from_image, upright_from_pixels)
    seen = sampling.warp(pixels, network_from_pixels, network_size, fill=spec.pad_value)
    beliefs = stage_beliefs(model, spec)(np.asarray(seen)[None])[-1]
    beliefs = np.asarray(beliefs)[0, :, :, 0]
    return search.places_in_zoom(beliefs, size, spec, zoom=zoom, threshold=threshold)
