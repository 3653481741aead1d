"""What the numbers of the paper's experiments say, in one line each. Standard library only.

Every function takes numbers and returns a sentence that begins with "As in the paper" or "Not as in
the paper". Differences within the noise decide nothing: noise is two standard errors of a
difference of PCK over the people tested, and knows nothing of another seed.
"""

import itertools

# A curve is flat where this share of its rise is left.
_LEFT = 0.05
# Gradients have vanished where they deviate this many times less.
_VANISHED = 3.0


def of_receptive_fields(curve, noise):
    """Figure 4: PCK grows with the receptive field, then saturates.

    Args:
        curve: {receptive field in pixels of the network box: PCK in percent}, two at least.
        noise: percentage points within which PCKs are equal.

    Example:
        >>> from keras_cpm.paper.verdicts import of_receptive_fields
        >>> of_receptive_fields({15: 40.0, 79: 70.0, 143: 70.5}, noise=1.0)[:88]
        'As in the paper: PCK@0.2 rises from 40.0 at a receptive field of 15 pixels to 70.0 at 79'
    """
    fields = sorted(curve)
    first, last = fields[0], fields[-1]
    highest = max(curve.values())
    rise = highest - curve[first]
    if rise <= noise:
        return (
            "Not as in the paper: PCK@0.2 does not rise with the receptive field, "
            f"{curve[first]:.1f} at {first} pixels and at most {highest:.1f} up to {last} (noise "
            f"{noise:.1f})."
        )
    enough = highest - max(noise, _LEFT * rise)
    flat = next(field for field in fields if curve[field] >= enough)
    rises = f"PCK@0.2 rises from {curve[first]:.1f} at a receptive field of {first} pixels to"
    if flat == last:
        return f"Not as in the paper: {rises} {curve[last]:.1f} at {last}, and does not saturate."
    if curve[last] < enough:
        return (
            f"Not as in the paper: {rises} {highest:.1f} at {max(curve, key=curve.get)}, and then "
            f"falls ({curve[last]:.1f} at {last}; noise {noise:.1f})."
        )
    return (
        f"As in the paper: {rises} {curve[flat]:.1f} at {flat}, and then saturates "
        f"({curve[last]:.1f} at {last})."
    )


def of_gradients(deviations, epoch):
    """Figure 5: without intermediate supervision gradients vanish towards the input.

    Args:
        deviations: {layer: (with, without)}, standard deviations of the gradients of its kernel,
            from the input to the output.
        epoch: after which they were measured, for the sentence.

    Example:
        >>> from keras_cpm.paper.verdicts import of_gradients
        >>> of_gradients({"conv1": (0.5, 0.01), "conv9": (0.6, 0.5)}, epoch=1)[:62]
        'As in the paper: after epoch 1 gradients deviate 50 times less'
    """
    first, *_, last = deviations
    near, far = deviations[first], deviations[last]
    ratios = [_ratio(*near), _ratio(*far)]
    vanish = ratios[0] >= _VANISHED and ratios[0] > ratios[1]
    return (
        f"{_verdict(vanish)}: after epoch {epoch} gradients deviate {_times(ratios[0])} less "
        f"without intermediate supervision near the input ({first}: {near[1]:.2g} against "
        f"{near[0]:.2g}), {_times(ratios[1])} at the output ({last}: {far[1]:.2g} against "
        f"{far[0]:.2g})."
    )


def of_schemes(scores, noise):
    """Figure 6b: training all stages at once, each with its loss, is best.

    "As in the paper" is when "joint" beats "stagewise" and "unsupervised", and "stagewise+joint" at
    most comes as close as the noise.

    Args:
        scores: PCK in percent by scheme, all of `recipes.SCHEMES`.
        noise: percentage points within which PCKs are equal.

    Example:
        >>> from keras_cpm.paper.verdicts import of_schemes
        >>> scores = {"joint": 80.0, "stagewise": 71.0, "stagewise+joint": 79.5}
        >>> scores["unsupervised"] = 75.0
        >>> of_schemes(scores, noise=1.0)[:82]
        'As in the paper: "joint" and "stagewise+joint" are best, within the noise of 1.0; '
    """
    order = sorted(scores, key=scores.get, reverse=True)
    lead = {name: scores["joint"] - scores[name] for name in scores}
    equal = [name for name in order if name != "joint" and abs(lead[name]) <= noise]
    ahead = [name for name in order if lead[name] < -noise]
    if ahead:
        what = f'{_quoted(ahead)} ahead of "joint" by more than the noise of {noise:.1f}'
    elif equal:
        what = f"{_quoted(['joint', *equal])} are best, within the noise of {noise:.1f}"
    else:
        what = f'"joint" is best by more than the noise of {noise:.1f}'
    reached = not ahead and not {"stagewise", "unsupervised"} & set(equal)
    table = ", ".join(f"{name} {scores[name]:.1f}" for name in order)
    return f"{_verdict(reached)}: {what}; PCK@0.2: {table}."


def of_stages(scores, noise):
    """Figure 6c: every stage is better than the one before, less so at the end.

    Args:
        scores: PCK in percent, stage 1 first, two at least.
        noise: percentage points within which PCKs are equal.

    Example:
        >>> from keras_cpm.paper.verdicts import of_stages
        >>> of_stages([68.5, 79.9, 81.2, 81.0], noise=0.5)[:64]
        'As in the paper: PCK@0.2 grows from stage to stage up to stage 3'
    """
    steps = [after - before for before, after in itertools.pairwise(scores)]
    table = ", ".join(f"{score:.1f}" for score in scores)
    falls = [t for t, step in enumerate(steps, 2) if step < -noise]
    if falls:
        t = falls[0]
        what = f"PCK@0.2 falls by {-steps[t - 2]:.1f} at stage {t} (noise {noise:.1f})"
        return f"Not as in the paper: {what}: {table}."
    grown = next((t for t, step in enumerate(steps, 1) if step <= noise), len(scores))
    if grown == 1:
        what = f"PCK@0.2 does not grow at stage 2 by more than the noise of {noise:.1f}"
        return f"Not as in the paper: {what}: {table}."
    what = "PCK@0.2 grows from stage to stage"
    if grown < len(scores):
        what += f" up to stage {grown}, and stays after it within the noise of {noise:.1f}"
    else:
        what += f" by more than the noise of {noise:.1f}"
    return f"As in the paper: {what}: {table}."


def of_beliefs(parts, mended, lost, shown):
    """Figures 1 and 7: later stages resolve what confuses the first.

    Args:
        parts: names of the parts that were counted.
        mended: how many of them stage 1 misses and the last stage finds, over the people tested.
        lost: the other way round.
        shown: (name of a part, its distance in shares of the normalizer by stage), of the picture.

    Example:
        >>> from keras_cpm.paper.verdicts import of_beliefs
        >>> of_beliefs(["right_elbow"], 31, 4, ("right_elbow", [0.81, 0.06, 0.04]))[:56]
        'As in the paper: of right_elbow, the last stage finds 31'
    """
    name, distances = shown
    off = ", ".join(f"{distance:.2f}" for distance in distances)
    return (
        f"{_verdict(mended > lost)}: of {', '.join(parts)}, the last stage finds {mended} that "
        f"stage 1 misses, and misses {lost} that it finds; the {name} shown is off by {off} of the "
        "normalizer, stage by stage."
    )


def _verdict(reached):
    return "As in the paper" if reached else "Not as in the paper"


def _ratio(supervised, alone):
    return supervised / alone if alone else float("inf")


def _times(ratio):
    return f"{ratio:,.0f} times" if ratio >= 100 else f"{ratio:.3g} times"


def _quoted(names):
    return " and ".join(f'"{name}"' for name in names)
