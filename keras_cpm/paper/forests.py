"""Boosted random forests, by XGBoost: rounds of boosting, each of several trees.

A forest is kept as .ubj, which holds numbers and no code.
"""

import numpy as np

_BINS = 32
# of rows and, at every branching, of features
_ROWS, _FEATURES = 0.7, 0.15


def fit_forest(features, classes, weights, count, *, rounds, trees, depth, rate, seed):
    """Learns which class a sample has.

    Args:
        features: (M, F) uint8.
        classes: (M,) int, 0 to count - 1; one may have no samples.
        weights: (M,).
        count: of classes, two at least.
        rounds: of boosting.
        trees: of each round, for each class.
        depth: of a tree.
        rate: share of what is left that a round takes.
        seed: of samples and features drawn.

    Returns:
        `xgboost.Booster`; equal for equal arguments on the same machine.

    Raises:
        ModuleNotFoundError: the extra `forest` is not installed.

    Example:
        >>> import numpy as np
        >>> from keras_cpm.paper.forests import fit_forest, predict_forest
        >>> features = np.repeat(np.uint8([[0], [9]]), 50, axis=0)
        >>> settings = {"rounds": 4, "trees": 3, "depth": 3, "rate": 0.7, "seed": 0}
        >>> forest = fit_forest(features, features[:, 0] // 9, np.ones(100), 2, **settings)
        >>> predict_forest(forest, features[[0, -1]]).argmax(axis=1).tolist()
        [0, 1]
    """
    xgboost = _xgboost()
    data = xgboost.QuantileDMatrix(features, label=classes, weight=weights, max_bin=_BINS)
    settings = {
        "objective": "multi:softprob",
        "num_class": count,
        "tree_method": "hist",
        "max_bin": _BINS,
        "num_parallel_tree": trees,
        "max_depth": depth,
        "learning_rate": rate,
        "subsample": _ROWS,
        "colsample_bynode": _FEATURES,
        "base_score": 0.5,
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


def load_forest(data, name):
    """Reads a forest from the bytes of its file.

    Args:
        data: bytes.
        name: of the file, for the error.

    Returns:
        `xgboost.Booster`.

    Raises:
        ValueError: they are none.
        ModuleNotFoundError: see `fit_forest`.

    Example:
        >>> from keras_cpm.paper.forests import load_forest
        >>> load_forest(b"{", "stage1.ubj")
        Traceback (most recent call last):
        ValueError: stage1.ubj is no forest; copy the folder again.
    """
    xgboost = _xgboost()
    try:
        return xgboost.Booster(model_file=bytearray(data))
    except xgboost.core.XGBoostError:
        raise ValueError(f"{name} is no forest; copy the folder again.") from None


def _xgboost():
    try:
        import xgboost
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "The Pose Machine needs XGBoost: pip install 'keras-cpm[forest]'."
        ) from None
    return xgboost
