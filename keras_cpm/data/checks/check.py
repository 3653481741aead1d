"""What is wrong with records, found before a training finds out."""

import numpy as np

from ...images import decode
from ...pose import geometry
from . import duplicates, labels


def check(records, *, progress=None):
    """Looks at every record and its image, and at all of them together.

    | kind | what is wrong |
    |---|---|
    | image | missing or unreadable |
    | size | the record says another one than the image has |
    | exif | labels of the photograph as it is stored, not upright |
    | place | nothing says where the person is, or a place far from the labels |
    | unlabelled | a person without labels |
    | axes | x and y swapped |
    | outside | parts far outside the image |
    | scale | a height that is no person's, or not this one's |
    | sides | right and left exchanged: by a mirror, of arms or legs, of the whole set |
    | mirror | mirrored about width instead of width - 1 |
    | duplicate | the same person in two records, or twice in one |

    What cannot be known is not reported: whether an EXIF orientation that keeps the size (2, 3, 4,
    or any of a square image) was heeded, and x and y swapped where both ways fit.

    Args:
        records: list of `Record`.
        progress: callable that wraps the iteration over the records, to show it.

    Returns:
        list of {"kind": ..., "problem": ..., "where": ..., "record": its number, or `None` where it
        is all of them}, empty where all is well. What concerns all comes first.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records
        >>> from keras_cpm.data.checks.check import check
        >>> check(draw_records(tempfile.mkdtemp(), 2))
        []
    """
    found, sizes, images, people = [], [], {}, {}
    for record in progress(records) if progress else records:
        # a photograph of many people is opened once
        image = record.image, record.size
        if image not in images:
            images[image] = _look_at_image(record)
        problems, size, stored = images[image]
        found.append([*problems, *labels.about_record(record, size, stored, known=people)])
        sizes.append(size)
    for number, kind, problem in duplicates.find(records, sizes):
        found[number].append((kind, problem))
    findings = [_finding(*about, "all records", None) for about in labels.about_set(records)]
    for number, record in enumerate(records):
        where = f"record {number} ({record.image})"
        findings += [_finding(*about, where, number) for about in found[number]]
    return findings


def _finding(kind, problem, where, number):
    return {"kind": kind, "problem": problem, "where": where, "record": number}


def _look_at_image(record):
    """Problems, and (height, width) upright and as stored; `None` where they are unknown."""
    try:
        pixels, upright_from_stored = decode.open_image(record.image)
    except (ValueError, OSError) as error:
        return [("image", str(error))], record.size, None
    stored = tuple(pixels.shape[:2])
    upright = tuple(np.asarray(geometry.upright_size(stored, upright_from_stored)).tolist())
    if record.size in (None, upright):
        return [], upright, stored
    if record.size == upright[::-1] and stored == upright:
        problem = (
            f"the record says {record.size} (height, width), the image is {upright}; write the "
            "height first"
        )
        return [("size", problem)], upright, stored
    if record.size == upright[::-1]:
        problem = (
            f"the record says {record.size} (height, width), the upright image is {upright}: the "
            "labels were made without regard to EXIF orientation; turn them"
        )
        return [("exif", problem)], record.size, stored
    problem = (
        f"the record says {record.size} (height, width), the image is {upright}; were its labels "
        "made at another size?"
    )
    return [("size", problem)], record.size, stored
