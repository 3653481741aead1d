"""Several people in one photograph: where they are, so that the pose network can look at each.

As in the release's demo.ipynb: a person network marks the middle of everybody, the pose network then
runs once a person. Boxes or centres of any other detector do as well.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

from ..images import decode, sampling
from ..models import bundle
from ..models.released import PERSON1, released_spec
from ..pose import codec, geometry
from ..pose.spec import PoseSpec
from .runner import inference_of

_SIZES = 'a list of boxes [x0, y0, x1, y1], of {"box": [...]} or of {"center": [x, y], "height": h}'

# of the person network that this project trains on `data.groups`
PERSON_SPEC = PoseSpec(PERSON1, box_size=192, person_height=80.0, part_sigma=10.0, background=False)
PERSON_NETWORK = {
    **{"stages": 2, "backbone": "light", "stage_block": "light", "width": 32},
    **{"center_map": False, "input_size": "any"},
}
_ZOOMS, _NEAR = (0.5, 1.0, 2.0), 0.4

# network pixels; a photograph of that width takes about 2 GB
_WIDEST = 10 * 368


def find_people(image, model, spec, *, threshold=0.5, zooms=None):
    """Finds the people of a photograph with a person network.

    For each zoom the photograph is scaled to `zoom * spec.box_size` pixels in height, padded on the right
    to a multiple of the stride; every local maximum of the last stage's beliefs is a person who stands
    `spec.person_height` tall there. Of what several zooms find within 0.4 heights the surest
    counts.

    Args:
        image: path, bytes of an image file, or array (H, W, 3) RGB 0..255.
        model: fully convolutional `keras.Model`, such as `build_released("person")`.
        spec: `PoseSpec` of it; one part.
        threshold: belief above which a maximum is a person.
        zooms: `None` for 1 with the release's network, as in demo.ipynb, and 1/2, 1 and 2 with others,
            which know people within a factor of two, see `data.groups`.

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
    if spec.num_parts != 1 or bundle.takes_center_map(model):
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
    beliefs = inference_of(model)([seen.numpy()[None]])[-1]
    peaks, heights = codec.find_peaks(np.asarray(beliefs)[0, :, :, 0], spec, threshold=threshold)
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


def read_places(path, images):
    """The places of people in photographs, from a JSON file.

    Args:
        path: of the file; for one photograph it holds a list of boxes [x0, y0, x1, y1], of
            {"box": ...} or of {"center": [x, y], "height": h}, image frame, pixels; for several an
            object from file name to such a list.
        images: paths of the photographs.

    Returns:
        dict of path -> list of places as `Predictor.predict_people` takes them.

    Raises:
        FileNotFoundError, ValueError: naming the file and the entry.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file of boxes at {path}.")
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON: {_SIZES}. {error}") from None
    if not isinstance(content, dict):
        if len(images) > 1:
            raise ValueError(
                f"{path} must be an object from file name to boxes, as there are {len(images)} images. "
                f"Received: a {type(content).__name__}"
            )
        content = {str(images[0]): content}
    places = {}
    for image in images:
        names = (str(image), Path(image).as_posix(), Path(image).name)
        entries = next((content[name] for name in names if name in content), None)
        if entries is None:
            raise ValueError(f"{path} has no entry for {image}; give one by its path or file name.")
        if not isinstance(entries, list):
            raise ValueError(f"{path} must hold {_SIZES}. Received: {entries!r}")
        places[image] = [_place(entry, f"{path}, entry {i}") for i, entry in enumerate(entries)]
    return places


def _place(entry, where):
    fields = {"box": entry} if isinstance(entry, list) else entry
    wanted = ({"box"}, {"center", "height"})
    if not isinstance(fields, dict) or set(fields) not in wanted or not _are_numbers(fields):
        raise ValueError(f"{where} must be one of {_SIZES}. Received: {entry!r}")
    if "box" in fields:
        return {"box": tuple(fields["box"])}
    return {"center": tuple(fields["center"]), "person_height": fields["height"]}


def _are_numbers(fields):
    lengths = {"box": 4, "center": 2}
    for name, value in fields.items():
        values = value if name in lengths else [value]
        if not isinstance(values, list) or len(values) != lengths.get(name, 1):
            return False
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            return False
    return True
