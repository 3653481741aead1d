"""JSON as it comes from strangers: one value is another, is not there, or stands twice."""

import copy
import json
import random

# what tools, people and attackers have put where something else was meant
_VALUES = (
    *(None, True, False, 0, 1, -1, 2.5, 1e300, 10**400, float("nan"), float("inf")),
    *("", "7", "a", "\u2028", "\ud800", "../../x", "\0", "1e5", "x" * 3000),
    *([], [[]], [None], {}, {"a": 1}, [[1, 2], [3]]),
)


def mutated(content, seed):
    """The text of `content`, JSON values, with one or two changes by `seed`."""
    rng = random.Random(seed)
    content = copy.deepcopy(content)
    for _ in range(rng.choice((1, 1, 2))):
        places = list(_places(content))
        if places:
            _change(rng, *rng.choice(places))
    text = json.dumps(content)
    # also cut off, as by a full disk
    return text[: rng.randrange(len(text))] if rng.random() < 0.05 else text


def _places(value):
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield value, key
        yield from _places(value[key])


def _change(rng, parent, key):
    kind = rng.random()
    if kind < 0.7:
        parent[key] = copy.deepcopy(rng.choice(_VALUES))
    elif kind < 0.85:
        del parent[key]
    elif isinstance(parent, list):
        parent.insert(key, copy.deepcopy(parent[key]))
    else:
        parent[f"{key}_"] = parent[key]
