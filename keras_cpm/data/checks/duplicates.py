"""Pairs of records that show the same person: labelled twice, or mirrored."""

import filecmp
from collections import defaultdict
from itertools import product

import numpy as np

from ...pose import geometry
from ...pose.skeleton import skeleton_of

# Pixels by which two sets of labels may differ and be the same: rounding; a resize after a mirror,
# and the pixel between a mirror about width - 1 and one about width.
_ROUNDING, _RESIZE, _OFFSET = 0.5, 1.0, 1.0
# Fewer labelled parts may agree by chance.
_ENOUGH_PARTS = 4
_CELL = 16


def find(records, sizes):
    """Finds primary persons who are in two records, and mirrored ones whose sides are wrong.

    A mirror image, x' = width - 1 - x, must exchange the names of right and left parts. Which of
    two records was the mirrored one cannot be known; the later one is named. People are looked up
    by the place of their labels, so the time grows with the number of records, not its square.

    Args:
        records: list of `Record`.
        sizes: (height, width) of each upright photograph, or `None` where it is unknown.

    Returns:
        list of (number of the record, kind, problem).

    Example:
        >>> from keras_cpm import CPM14, Person, Record
        >>> from keras_cpm.data.checks import duplicates
        >>> points = [(10 + 5 * i, 20 + i * i) for i in range(14)]
        >>> mirrored = [(99 - x, y) for x, y in points]
        >>> records = [
        ...     Record(name, (300, 100), CPM14.parts, (Person(labels, [2] * 14),))
        ...     for name, labels in (("a.jpg", points), ("flipped_a.jpg", mirrored))
        ... ]
        >>> [(number, kind) for number, kind, _ in duplicates.find(records, [(300, 100)] * 2)]
        [(1, 'sides')]
    """
    groups = defaultdict(list)
    for number, (record, size) in enumerate(zip(records, sizes, strict=True)):
        if record.people[0].labelled.any():
            groups[record.parts, size].append(number)
    found = []
    for (parts, size), numbers in groups.items():
        found += _Group([records[i] for i in numbers], numbers, parts, size).find()
    return found


class _Group:
    """Records of the same parts and the same size of photograph."""

    def __init__(self, records, numbers, parts, size):
        people = [record.people[0] for record in records]
        self.images = [record.image for record in records]
        self.numbers = numbers
        self.points = np.stack([person.keypoints for person in people]).astype(float)
        self.labelled = np.stack([person.labelled for person in people])
        self.swap = list(skeleton_of(parts).subset(parts).flip_permutation)
        self.mirrors = size is not None and self.swap != sorted(self.swap)
        self.size = size
        # who stands where, and for each of them the photographs that show the same labels
        self.cells, self.photographs = defaultdict(list), {}

    def find(self):
        found = []
        for i, number in enumerate(self.numbers):
            points = self.points[i][self.labelled[i]]
            same = self._same(i, self._near(points))
            twin = self._duplicate(i, same)
            if twin is None and self.mirrors and len(points) >= _ENOUGH_PARTS:
                twin = self._mirrored(i, self._near(geometry.mirrored(points, self.size)))
            if twin is not None:
                found.append((number, *twin))
            if not len(same):
                (cell,) = _cells(points, 0)
                self.cells[cell].append(i)
                self.photographs[i] = {self.images[i]: number}
        return found

    def _near(self, points):
        """(N,) earlier records whose labels lie where `points` do."""
        cells = _cells(points, _RESIZE + _OFFSET)
        return np.array(sorted(j for cell in cells for j in self.cells.get(cell, ())), int)

    def _same(self, i, near):
        distance = abs(self.points[near] - self.points[i]).max((1, 2), initial=0)
        return near[(distance <= _ROUNDING) & (self.labelled[near] == self.labelled[i]).all(1)]

    def _duplicate(self, i, same):
        """The labels of `same` are those of record i; a still figure in a film is no duplicate."""
        image = self.images[i]
        for j in same:
            if image in self.photographs[j]:
                first = self.photographs[j][image]
                return "duplicate", f"the same person as in record {first}; remove one"
        if not len(same):
            return None
        first = self.images[same[0]]
        if self.labelled[i].sum() >= _ENOUGH_PARTS and _same_file(first, image):
            return "duplicate", (
                f"the same person and photograph as in record {self.numbers[same[0]]}, {first}; "
                "remove one"
            )
        self.photographs[same[0]][image] = self.numbers[i]
        return None

    def _mirrored(self, i, near):
        """The first of `near` whose mirror image record i is, with wrong sides or a pixel off."""
        mirror = np.where(
            self.labelled[i][:, None], geometry.mirrored(self.points[i], self.size), 0
        )
        still = self._offsets(near, self.points[i], self.labelled[i])[0]
        kept, kept_offset = self._offsets(near, mirror, self.labelled[i])
        swapped, offset = self._offsets(near, mirror[self.swap], self.labelled[i][self.swap])
        # who is his own mirror image, or does not move in a film, says nothing
        for at in np.flatnonzero(~still & (kept ^ swapped)):
            number = self.numbers[near[at]]
            if kept[at]:
                about = " about width" if kept_offset[at] else ""
                return "sides", (
                    f"the labels are those of record {number} mirrored{about}, with the names of "
                    "right and left parts as they were; swap them in one of the two"
                )
            if offset[at]:
                return "mirror", (
                    f"the labels are those of record {number} mirrored about width instead of "
                    "width - 1; move those of the mirrored photograph by a pixel, to width - 1 - x"
                )
        return None

    def _offsets(self, near, points, labelled):
        """(N,) bool: the same labels, perhaps all one pixel farther right; and whether they are."""
        difference = self.points[near] - points
        right = difference[..., 0].sum(1) / labelled.sum() > _OFFSET / 2
        difference[..., 0] -= right[:, None] * labelled * _OFFSET
        close = abs(difference).max((1, 2), initial=0) <= _RESIZE
        return close & (self.labelled[near] == labelled).all(1), right


def _cells(points, slack):
    """Cells of a grid, of what no name changes: the box of the labels and their mean."""
    features = np.concatenate([points.min(0), points.max(0), points.mean(0)]).tolist()
    return product(*({int((f - slack) // _CELL), int((f + slack) // _CELL)} for f in features))


def _same_file(path, other):
    try:
        return filecmp.cmp(path, other, shallow=False)
    except OSError:
        return False
