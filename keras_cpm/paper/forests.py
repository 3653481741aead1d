"""Boosted random forests, by XGBoost: rounds of boosting, each of several trees.

A forest is kept as an array of its nodes, numbers and no code.
"""

import json

import numpy as np

NODE = np.dtype(
    [
        *((name, "<i4") for name in ("tree", "group", "left", "right", "feature")),
        # of a leaf what it adds, else the least value that goes right
        ("value", "<f4"),
    ]
)
# ours, XGBoost's
_FIELDS = {
    "left": "left_children",
    "right": "right_children",
    "feature": "split_indices",
    "value": "split_conditions",
}
_OBJECTIVE = {"objective": "multi:softprob", "base_score": 0.5}
_BINS = 32
# of rows and, at every branching, of features
_ROWS, _FEATURES = 0.7, 0.15


def fit_forest(features, classes, count, *, rounds, trees, depth, rate, seed, seen=None):
    """Learns which class a sample has.

    Args:
        features: (M, F) uint8.
        classes: (M,) int, 0 to count - 1; one may have no samples.
        count: of classes, two at least.
        rounds: of boosting.
        trees: of each round, for each class.
        depth: of a tree.
        rate: share of what is left that a round takes.
        seed: of samples and features drawn.
        seen: (F,) bool, the features that it may ask for; `None` for all.

    Returns:
        `xgboost.Booster`; equal for equal arguments on the same machine.

    Raises:
        ImportError: the extra `forest` is not installed.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.paper.forests import fit_forest, predict_forest
        >>> features = np.repeat(np.uint8([[0], [9]]), 50, axis=0)
        >>> settings = {"rounds": 4, "trees": 3, "depth": 3, "rate": 0.7, "seed": 0}
        >>> forest = fit_forest(features, features[:, 0] // 9, 2, **settings)
        >>> predict_forest(forest, features[[0, -1]]).argmax(axis=1).tolist()
        [0, 1]
    """
    xgboost = _xgboost()
    weights = None if seen is None else seen.astype(np.float32)
    data = xgboost.QuantileDMatrix(features, label=classes, max_bin=_BINS, feature_weights=weights)
    settings = _OBJECTIVE | {
        "num_class": count,
        "tree_method": "hist",
        "max_bin": _BINS,
        "num_parallel_tree": trees,
        "max_depth": depth,
        "learning_rate": rate,
        "subsample": _ROWS,
        "colsample_bynode": _FEATURES,
        "seed": seed,
    }
    return xgboost.train(settings, data, num_boost_round=rounds)


def predict_forest(forest, features):
    """The probability of each class.

    Args:
        forest: of `fit_forest`.
        features: (M, F) uint8.

    Returns:
        (M, count) float32.
    """
    return np.asarray(forest.inplace_predict(features), np.float32)


def num_classes(forest):
    """How many classes a forest tells apart."""
    learner = json.loads(forest.save_config())["learner"]
    return int(learner["learner_model_param"]["num_class"])


def nodes_of(forest):
    """All of a forest that predictions depend on.

    Returns:
        bytes, an array of `NODE`: the nodes of a tree together, its root first, children after
        their parents, -1 for the children of a leaf. XGBoost's own files are not kept, because it
        ends the process where one of them is damaged.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.paper.forests import NODE, fit_forest, nodes_of
        >>> features, settings = np.zeros((9, 2), np.uint8), {"depth": 1, "rate": 0.7, "seed": 0}
        >>> forest = fit_forest(features, np.ones(9), 3, rounds=2, trees=1, **settings)
        >>> np.frombuffer(nodes_of(forest), NODE)["group"].tolist()
        [0, 1, 2, 0, 1, 2]
    """
    model = json.loads(bytes(forest.save_raw("json")))["learner"]["gradient_booster"]["model"]
    tables = []
    for number, (tree, group) in enumerate(zip(model["trees"], model["tree_info"], strict=True)):
        table = np.zeros(len(tree["left_children"]), NODE)
        table["tree"], table["group"] = number, group
        for name, theirs in _FIELDS.items():
            table[name] = tree[theirs]
        tables.append(table)
    return np.concatenate(tables).tobytes()


def load_forest(data, features):
    """A forest from its nodes, each of which is checked.

    Args:
        data: bytes, what `nodes_of` gives.
        features: how many features the forest takes.

    Returns:
        `xgboost.Booster`.

    Raises:
        ValueError: they are no forest.
        ImportError: see `fit_forest`.

    Example:
        >>> from keras_cpm.paper.forests import load_forest
        >>> load_forest(b"no nodes", 750)
        Traceback (most recent call last):
        ValueError: it holds no forest over 750 features
    """
    nodes = np.frombuffer(data[: len(data) // NODE.itemsize * NODE.itemsize], NODE)
    if nodes.nbytes != len(data) or not _is_forest(nodes, features):
        raise ValueError(f"it holds no forest over {features} features")
    firsts = np.flatnonzero(np.diff(nodes["tree"], prepend=-1))
    groups = nodes["group"][firsts].tolist()
    tables = np.split(nodes, firsts[1:])
    # what is not ours to know comes from a forest of the XGBoost that is here
    xgboost, count = _xgboost(), max(groups) + 1
    empty = xgboost.DMatrix(np.zeros((1, features), np.uint8), label=[0])
    form = xgboost.train(_OBJECTIVE | {"num_class": count}, empty, num_boost_round=1)
    whole = json.loads(bytes(form.save_raw("json")))
    model = whole["learner"]["gradient_booster"]["model"]
    leaf, tables = model["trees"][0], enumerate(tables)
    model["trees"] = [_tree(number, table, leaf, features) for number, table in tables]
    model["tree_info"] = groups
    model["iteration_indptr"] = [0, len(groups)]
    model["gbtree_model_param"]["num_trees"] = str(len(groups))
    model["gbtree_model_param"]["num_parallel_tree"] = str(len(groups) // count)
    return xgboost.Booster(model_file=bytearray(json.dumps(whole).encode()))


def _is_forest(nodes, features):
    if not len(nodes) or not np.isfinite(nodes["value"]).all():
        return False
    steps = np.diff(nodes["tree"].astype(np.int64), prepend=-1)
    if nodes["tree"][0] != 0 or not np.isin(steps, (0, 1)).all():
        return False
    firsts = np.flatnonzero(steps)
    sizes = np.diff(np.append(firsts, len(nodes)))
    places = np.arange(len(nodes)) - np.repeat(firsts, sizes)
    splits = nodes["left"] >= 0
    sound = nodes["group"] == np.repeat(nodes["group"][firsts], sizes)
    for side in ("left", "right"):
        child = nodes[side]
        # after its parent, so that nothing goes round
        within = (child > places) & (child < np.repeat(sizes, sizes))
        sound &= np.where(splits, within, child == -1)
    sound &= (nodes["feature"] >= 0) & (nodes["feature"] < features)
    groups, counts = np.unique(nodes["group"][firsts], return_counts=True)
    return bool(
        sound.all()
        and len(groups) >= 2
        and (groups == np.arange(len(groups))).all()
        and len(set(counts.tolist())) == 1
    )


def _tree(number, table, leaf, features):
    """A tree as XGBoost writes it; of what is not needed for predictions, zeros."""
    count = len(table)
    tree = {
        name: [type(value[0])()] * count if isinstance(value, list) and value else value
        for name, value in leaf.items()
    }
    tree |= {theirs: table[name].tolist() for name, theirs in _FIELDS.items()}
    # that of the root is XGBoost's number for none
    parents = np.full(count, 2**31 - 1)
    for side in ("left", "right"):
        splits = np.flatnonzero(table[side] >= 0)
        parents[table[side][splits]] = splits
    tree["parents"], tree["id"] = parents.tolist(), number
    sizes = {"num_nodes": str(count), "num_feature": str(features), "num_deleted": "0"}
    tree["tree_param"] = leaf["tree_param"] | sizes
    return tree


def _xgboost():
    try:
        import xgboost
    except ImportError:
        raise ImportError(
            "The Pose Machine needs XGBoost: pip install 'keras-cpm[forest]'"
        ) from None
    return xgboost
