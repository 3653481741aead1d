"""Which people are held out of a training, by a rule that needs no memory."""

import hashlib
from collections import Counter
from pathlib import PurePosixPath


def hold_out(records, count):
    """Splits records by whole photographs: nobody is trained on in the photograph of one held out.

    Photographs come in the order of the SHA-1 of their file names, so that the same data set is
    always split alike, in whatever order and folder it lies, and each is held out until there are
    `count` people.

    Args:
        records: list of `Record`; of those that `pack` wrote, the photographs that they are from
            count.
        count: of people to hold out; the last photograph may bring a few more.

    Returns:
        the records to train on, and those held out, each in their order.

    Raises:
        ValueError: there are not more than `count` people.

    Example:
        >>> import tempfile
        >>> from keras_cpm import draw_records
        >>> from keras_cpm.data.split import hold_out
        >>> fit, held = hold_out(draw_records(tempfile.mkdtemp(), 10), 3)
        >>> len(fit), len(held)
        (7, 3)
    """
    people = Counter(map(_photograph, records))
    out, left = set(), count
    for name in sorted(people, key=lambda name: hashlib.sha1(name.encode()).digest()):
        if left <= 0:
            break
        out.add(name)
        left -= people[name]
    held = [record for record in records if _photograph(record) in out]
    if len(held) == len(records):
        raise ValueError(
            f"`count` must leave somebody to train on; hold fewer out. Received: {count} of "
            f"{len(records)} people"
        )
    return [record for record in records if _photograph(record) not in out], held


def _photograph(record):
    packed = (record.attributes or {}).get("packed_from")
    image = packed.get("image", record.image) if isinstance(packed, dict) else record.image
    return PurePosixPath(str(image).replace("\\", "/")).name
