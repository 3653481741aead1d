"""What the numbers of the paper's experiments say, in one line each. Standard library only.

Every function takes numbers and returns a sentence that begins with "As in the paper", "Not as in
the paper", or "Too small a run to judge": differences within the noise decide nothing. Noise is two
standard errors of a difference of PCK, over the people tested and over the seeds, see
`Trial.repeat`.
"""

import itertools

# A curve is flat where this share of its rise is left.
_LEFT = 0.05
# Gradients have vanished where they deviate this many times less.
_VANISHED = 3.0
# A scheme is close to the best where it lacks that share of what training stage by stage lacks.
_CLOSE = 0.25
# "performance increases monotonically until 5 stages", Section 4.1.
_STAGES_THAT_HELP = 5
# Two are as good as each other only where a difference of so many points would be seen.
_FINE = 2.0
# A map helps where so much of a belief, 0 to 1, is lost without it.
_HELPS = 0.02
_UNDECIDED = "Too small a run to judge"


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
            f"{_UNDECIDED}: PCK@0.2 does not rise with the receptive field, "
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


def of_gradients(deviations):
    """Figure 5: without intermediate supervision gradients vanish towards the input; later they
    shrink in all layers with it, and stay near zero without.

    Args:
        deviations: {epoch: {layer: (with, without)}}, standard deviations of the gradients of its
            kernel, layers from the input to the output, after each epoch.

    Example:
        >>> from keras_cpm.paper.verdicts import of_gradients
        >>> first = {"conv1": (0.5, 0.01), "conv9": (0.6, 0.5)}
        >>> last = {"conv1": (0.2, 0.01), "conv9": (0.3, 0.4)}
        >>> of_gradients({1: first, 5: last})[:62]
        'As in the paper: after epoch 1 gradients deviate 50 times less'
    """
    epochs = sorted(deviations)
    early, late = deviations[epochs[0]], deviations[epochs[-1]]
    first, *_, last = early
    near, far = early[first], early[last]
    ratios = [_ratio(*near), _ratio(*far)]
    claims = {"vanish": ratios[0] >= _VANISHED and ratios[0] > ratios[1]}
    what = (
        f"after epoch {epochs[0]} gradients deviate {_times(ratios[0])} less without intermediate "
        f"supervision near the input ({first}: {near[1]:.2g} against {near[0]:.2g}), "
        f"{_times(ratios[1])} at the output ({last}: {far[1]:.2g} against {far[0]:.2g})"
    )
    if len(epochs) > 1:
        shrunk = sum(late[layer][0] < early[layer][0] for layer in early)
        nearest = min(_ratio(*deviations[epoch][first]) for epoch in epochs)
        claims |= {"shrink": shrunk == len(early), "stay": nearest >= _VANISHED}
        what += (
            f"; up to epoch {epochs[-1]} they shrink in {shrunk} of {len(early)} layers with it, "
            f"and without it deviate at least {_times(nearest)} less near the input"
        )
    return f"{_verdict(all(claims.values()))}: {what}."


def of_schemes(scores, noise):
    """Figure 6b: training all stages at once, each with its loss, is best; stage by stage and then
    at once comes close to it.

    "As in the paper" is when "joint" beats "stagewise" and "unsupervised", and "stagewise+joint" is
    not ahead of it and has made up three quarters of what "stagewise" lacks.

    Args:
        scores: PCK in percent by scheme, all of `recipes.SCHEMES`.
        noise: percentage points within which PCKs are equal.

    Example:
        >>> from keras_cpm.paper.verdicts import of_schemes
        >>> scores = {"joint": 80.0, "stagewise": 71.0, "stagewise+joint": 79.5}
        >>> scores["unsupervised"] = 75.0
        >>> of_schemes(scores, noise=1.0)[:77]
        'As in the paper: "joint" is best; PCK@0.2: joint 80.0, stagewise+joint 79.5, '
    """
    lead = {name: scores["joint"] - scores[name] for name in scores if name != "joint"}
    both = lead.pop("stagewise+joint")
    close = max(noise, _CLOSE * lead["stagewise"])
    against = [f'"{name}" is ahead of "joint"' for name in lead if lead[name] < -noise]
    equal = [f'"joint" and "{name}" are equal' for name in lead if abs(lead[name]) <= noise]
    if both < -noise:
        against.append('"stagewise+joint" is ahead of "joint"')
    elif both > close:
        against.append(f'"stagewise+joint" does not come close to "joint", {both:.1f} below')
    table = ", ".join(f"{name} {scores[name]:.1f}" for name in sorted(scores, key=scores.get)[::-1])
    return _of_claims(against, equal, '"joint" is best', noise, f"PCK@0.2: {table}")


def of_stages(scores, noise):
    """Figure 6c: every stage is better than the one before, up to the fifth.

    "As in the paper" is when each of these grows by more than the noise, and none falls.

    Args:
        scores: PCK in percent, stage 1 first, two at least.
        noise: percentage points within which PCKs are equal.

    Example:
        >>> from keras_cpm.paper.verdicts import of_stages
        >>> of_stages([68.5, 79.9, 81.2], noise=0.5)[:50]
        'As in the paper: PCK@0.2 grows from stage to stage'
        >>> of_stages([68.5, 79.9, 81.2, 81.0], noise=0.5)[:73]
        'Too small a run to judge: PCK@0.2 grows from stage to stage up to stage 3'
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
        return f"{_UNDECIDED}: {what}: {table}."
    what = "PCK@0.2 grows from stage to stage"
    if grown < len(scores):
        what += f" up to stage {grown}, and stays after it within the noise of {noise:.1f}"
    else:
        what += f" by more than the noise of {noise:.1f}"
    enough = grown >= min(len(scores), _STAGES_THAT_HELP)
    return f"{_verdict(True) if enough else _UNDECIDED}: {what}: {table}."


def of_predecessor(scores, noise):
    """Figure 6a: the network leads the Pose Machine at 0.1 and 0.2 of the normalizer.

    Args:
        scores: {threshold: (PCK in percent of the Pose Machine, of the network)}.
        noise: percentage points within which PCKs are equal.

    Example:
        >>> from keras_cpm.paper.verdicts import of_predecessor
        >>> of_predecessor({0.1: (20.0, 45.0), 0.2: (45.0, 70.5)}, noise=2.0)[:77]
        'As in the paper: the network leads the Pose Machine by 25.0 at 0.1 (45.0 agai'
    """
    leads = {alpha: network - machine for alpha, (machine, network) in scores.items()}
    reached = all(lead > noise for lead in leads.values())
    verb = "leads" if reached else "does not lead"
    table = " and ".join(
        f"{leads[alpha]:.1f} at {alpha:g} ({network:.1f} against {machine:.1f})"
        for alpha, (machine, network) in scores.items()
    )
    what = f"{verb} the Pose Machine {'by' if reached else 'at both thresholds:'} {table}"
    return (
        f"{_verdict(reached)}: the network {what}; noise {noise:.1f}. Both learnt from the same "
        "people and labels; the paper's 42.4 and 30.9 are of other trainings."
    )


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


def of_better(scores, noise):
    """A claim that the first of two is better.

    Args:
        scores: PCK in percent by name, two.
        noise: percentage points within which PCKs are equal.

    Example:
        >>> from keras_cpm.paper.verdicts import of_better
        >>> of_better({"with": 71.0, "without": 60.0}, noise=2.0)
        'As in the paper: "with" is better; PCK@0.2: with 71.0, without 60.0 (noise 2.0).'
    """
    (better, high), (other, low) = scores.items()
    if abs(high - low) <= noise:
        claim = f'{_UNDECIDED}: "{better}" and "{other}" are equal'
    else:
        claim = f'{_verdict(high > low)}: "{better if high > low else other}" is better'
    return f"{claim}; PCK@0.2: {better} {high:.1f}, {other} {low:.1f} (noise {noise:.1f})."


def of_as_good(scores, noise):
    """A claim that the first of two, which costs less, is as good: to be judged, noise must be
    small.

    Example:
        >>> from keras_cpm.paper.verdicts import of_as_good
        >>> of_as_good({"stride 8": 71.0, "stride 4": 70.2}, noise=1.5)[:56]
        'As in the paper: "stride 8" is as good; PCK@0.2: stride '
    """
    (first, ours), (other, theirs) = scores.items()
    if theirs - ours > noise:
        claim = f'Not as in the paper: "{other}" is better'
    elif noise > _FINE:
        claim = f'{_UNDECIDED}: "{first}" is as good within a large noise'
    else:
        claim = f'As in the paper: "{first}" is as good'
    return f"{claim}; PCK@0.2: {first} {ours:.1f}, {other} {theirs:.1f} (noise {noise:.1f})."


def of_context(hard, rows):
    """Figure 3: maps of other parts help to find one that is hard to find.

    Args:
        hard: names of what is hard to find.
        rows: (name of the part whose map is hidden, belief lost by it, noise of that).

    Example:
        >>> from keras_cpm.paper.verdicts import of_context
        >>> of_context(["elbow"], [("neck", 0.01, 0.02), ("shoulder", 0.2, 0.05)])[:64]
        'As in the paper: the belief in elbow falls most without the map '
    """
    others = [row for row in rows if row[0] not in hard]
    most = max(others, key=lambda row: row[1] - row[2])
    helped = [name for name, lost, noise in others if lost > max(noise, _HELPS)]
    large = any(noise > _HELPS for *_, noise in others)
    claim = _UNDECIDED if large and not helped else _verdict(bool(helped))
    return (
        f"{claim}: the belief in {' and '.join(hard)} falls most without the map of {most[0]}, by "
        f"{most[1]:.3f} (noise {most[2]:.3f}); {len(helped)} of {len(others)} other maps help."
    )


def _of_claims(against, undecided, claim, noise, table):
    """A sentence from what speaks against a claim, and what the noise leaves undecided."""
    if against:
        return f"Not as in the paper: {' and '.join(against)} (noise {noise:.1f}); {table}."
    if undecided:
        return f"{_UNDECIDED}: {' and '.join(undecided)} within the noise of {noise:.1f}; {table}."
    return f"As in the paper: {claim}; {table}."


def _verdict(reached):
    return "As in the paper" if reached else "Not as in the paper"


def _ratio(supervised, alone):
    return supervised / alone if alone else float("inf")


def _times(ratio):
    return f"{ratio:,.0f} times" if ratio >= 100 else f"{ratio:.3g} times"
