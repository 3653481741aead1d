"""`Evaluation`: predictions beside their truth, and the tables and curves they give."""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..pose.skeleton import Skeleton
from ..pose.spec import Array
from .metrics import auc, pck

# a number as attribute is cut into this many ranges of equal width
_RANGES, _FEW = 6, 12


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Predictions beside their truth, image frame, pixels. Letters: T stages, S samples, P parts.

    Args:
        predicted: by row name ("stage1", or the name of a file) (S, P, 2).
        truth: (S, P, 2).
        labelled: (S, P) bool.
        normalizer: (S,) pixels, NaN where it is not known; or one such array by row name, where it
            depends on what is predicted.
        metric: "pck" or "pckh", what the normalizer makes of it.
        skeleton: `Skeleton`.
        columns: name of a column -> the parts whose mean it is; by default left and right together.

    Example:
        >>> import numpy as np
        >>> from keras_cpm import Evaluation, Skeleton
        >>> points, labelled = np.zeros((1, 2, 2)), np.ones((1, 2), bool)
        >>> pair = Skeleton("pair", ("a", "b"))
        >>> result = Evaluation({"stage1": points}, points, labelled, np.ones(1), "pck", pair)
        >>> result.scores(0.2)["stage1"]["pck@0.2"]["total"]
        100.0
    """

    predicted: dict[str, np.ndarray]
    truth: np.ndarray
    labelled: np.ndarray
    normalizer: np.ndarray | dict[str, np.ndarray]
    metric: str
    skeleton: Skeleton
    columns: dict[str, tuple[str, ...]] | None = None

    def __post_init__(self):
        if self.columns is None:
            object.__setattr__(self, "columns", _sides_together(self.skeleton.parts))

    def scores(self, alpha: float = 0.2) -> dict[str, dict[str, dict[str, Any]]]:
        """PCK in percent, as `keras-cpm evaluate --json` writes them.

        Args:
            alpha: share of the normalizer.

        Returns:
            {"stage1": {"pck@0.2": {"total": 84.32, "columns": {"head": 96.85, ...}, "parts":
            {"head": 96.9, ...}}}, ...}. "total" pools all labelled keypoints, a column is the mean
            of its parts; what is labelled nowhere is `None`.
        """
        return self._table(f"{self.metric}@{alpha:g}", pck, alpha)

    def areas(self, alphas: Array) -> dict[str, dict[str, dict[str, Any]]]:
        """Areas under the curve in percent, {"stage1": {"auc@0.2": {...}}, ...}; see `auc`."""
        return self._table(f"auc@{alphas[-1]:g}", auc, alphas)

    def curves(self, alphas: Array) -> dict[str, dict[str, np.ndarray]]:
        """PCK in percent over thresholds, as in the paper's Figures 8, 9 and 12.

        Args:
            alphas: K ascending shares of the normalizer.

        Returns:
            {"stage1": {"total": (K,), "head": (K,), ...}, ...}, one array a column; NaN where
            nothing is labelled.
        """
        key = self.metric
        steps = [self._table(key, pck, alpha) for alpha in alphas]
        return {
            row: {
                name: np.array([_nan({"total": e["total"], **e["columns"]}[name]) for e in entries])
                for name in ("total", *(self.columns or ()))
            }
            for row in self.predicted
            if (entries := [step[row][key] for step in steps])
        }

    def subset(self, chosen: Array) -> Evaluation:
        """The same for some of the samples.

        Args:
            chosen: (S,) bool, or indices.
        """
        return dataclasses.replace(
            self,
            predicted={row: points[chosen] for row, points in self.predicted.items()},
            truth=self.truth[chosen],
            labelled=self.labelled[chosen],
            normalizer=(
                {row: lengths[chosen] for row, lengths in self.normalizer.items()}
                if isinstance(self.normalizer, dict)
                else self.normalizer[chosen]
            ),
        )

    def _table(self, key, metric, threshold):
        return {
            row: {key: self._entry(metric, row, points, threshold)}
            for row, points in self.predicted.items()
        }

    def _entry(self, metric, row, points, threshold):
        lengths = self.normalizer[row] if isinstance(self.normalizer, dict) else self.normalizer
        shares, total = metric(points, self.truth, self.labelled, lengths, threshold)
        parts = dict(zip(self.skeleton.parts, map(_percent, shares), strict=True))
        return {
            "total": _percent(total),
            "columns": {
                name: _mean([parts[part] for part in members])
                for name, members in self.columns.items()
            },
            "parts": parts,
        }


def group_people(records, attribute):
    """Sorts records by what they say about their primary person.

    Args:
        records: list of `Record`.
        attribute: name in the attributes of the person or of the record, such as "activity".
            Numbers of more than twelve values, such as angles, are cut into six ranges.

    Returns:
        {"name of the group": (n,) indices}, the largest first; records without it are left out.

    Raises:
        ValueError: no record has it; says which there are.

    Example:
        >>> from keras_cpm import Person, Record
        >>> from keras_cpm.evaluation.scores import group_people
        >>> person = Person([(1, 2)], [2])
        >>> records = [
        ...     Record("a.jpg", None, ("nose",), (person,), attributes={"activity": activity})
        ...     for activity in ("running", "running", "rowing")
        ... ]
        >>> {name: indices.tolist() for name, indices in group_people(records, "activity").items()}
        {'running': [0, 1], 'rowing': [2]}
    """
    values = {}
    for number, record in enumerate(records):
        found = {**record.attributes, **record.people[0].attributes}.get(attribute)
        if found is not None:
            values[number] = found
    if not values:
        known = sorted(
            {name for r in records for name in {**r.attributes, **r.people[0].attributes}}
        )
        raise ValueError(f"No record has the attribute {attribute!r}; they have {known or 'none'}.")
    names = _ranges(values) if _are_many_numbers(values.values()) else values
    groups = {}
    for number, name in names.items():
        groups.setdefault(str(name), []).append(number)
    return {
        name: np.array(indices)
        for name, indices in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    }


def _are_many_numbers(values):
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)
    return numbers and len(set(values)) > _FEW


def _ranges(values):
    """Number of a record -> the range its value lies in."""
    edges = np.linspace(min(values.values()), max(values.values()), _RANGES + 1)
    # as many digits as tell the edges apart
    digits = next(d for d in (4, 6, 9, 12, 17) if len({f"{e:.{d}g}" for e in edges}) == len(edges))
    names = [f"{a:.{digits}g} to {b:.{digits}g}" for a, b in itertools.pairwise(edges)]
    return {
        number: names[int(np.searchsorted(edges[1:-1], value, side="right"))]
        for number, value in values.items()
    }


def _sides_together(parts):
    columns = {}
    for part in parts:
        name = part.removeprefix("left_").removeprefix("right_")
        columns.setdefault(name, []).append(part)
    return {name: tuple(members) for name, members in columns.items()}


def _percent(share):
    return None if np.isnan(share) else 100 * float(share)


def _mean(values):
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _nan(value):
    return np.nan if value is None else value
