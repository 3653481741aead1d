"""Where the people of a photograph are: found, or as a detector or a person wrote it down."""

from pathlib import Path

from ..models.person import MOST_PEOPLE, THRESHOLD
from ..pose import schema

_BOXES = 'a list of boxes [x0, y0, x1, y1], of {"box": [...]} or of {"center": [x, y], "height": h}'
# pixels; also no NaN, which is nowhere
_FARTHEST = 1e6


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
        # Windows' editors begin a text with a mark of its encoding
        content = schema.parse(Path(path).read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON: {_BOXES}. {error}") from None
    if not isinstance(content, dict):
        if len(images) > 1:
            raise ValueError(
                f"{path} must be an object from file name to boxes, as there are {len(images)} "
                "images. "
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
            raise ValueError(f"{path} must hold {_BOXES}. Received: {entries!r}")
        places[image] = [_place(entry, f"{path}, entry {i}") for i, entry in enumerate(entries)]
    return places


def _place(entry, where):
    fields = {"box": entry} if isinstance(entry, list) else entry
    wanted = ({"box"}, {"center", "height"})
    if not isinstance(fields, dict) or set(fields) not in wanted or not _are_numbers(fields):
        raise ValueError(f"{where} must be one of {_BOXES}. Received: {entry!r}")
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
        if not all(abs(v) <= _FARTHEST for v in values):
            return False
        if name == "box" and not (values[0] < values[2] and values[1] < values[3]):
            return False
        if name == "height" and not values[0] > 0:
            return False
    return True


def limits(*, person_threshold, max_people, **_):
    """The score above which somebody is a person, and how many there are at most."""
    return THRESHOLD if person_threshold is None else person_threshold, max_people or MOST_PEOPLE


def everybody(predictor, places, find, **options):
    """A function from the path of a photograph and its pixels to a list of `FoundPerson`.

    Args:
        predictor: `Predictor`.
        places: of `read_places`, or `None` where people are found.
        find: of `person_finder.finder_of`, to find them.
    """
    from ..inference.people import find_poses, poses_at

    if places is not None:
        return lambda path, photograph: poses_at(photograph, predictor, places[path])
    threshold, most = limits(**options)
    return lambda path, photograph: find_poses(
        photograph, predictor, find, threshold=threshold, most=most
    )
