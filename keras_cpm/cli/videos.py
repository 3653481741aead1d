"""`keras-cpm predict` of a video or a camera: one person is followed, or everybody."""

import functools

import click

from .console import echo, progress, write_json
from .engines import opened
from .outputs import writing
from .people import limits


def check_video(images, *, box, center, height, part, people, names, draw, coco_path, **options):
    """What can be said before TensorFlow is loaded."""
    alone = not (box or center or height or part or coco_path) and people in (None, "auto")
    if len(images) > 1 or not alone:
        raise click.UsageError(
            "A video goes alone, without --box, --center, --height, --part and --coco; --people "
            "may be auto."
        )
    if (options["person_threshold"] is not None or options["max_people"]) and not people:
        raise click.UsageError("--person-threshold and --max-people need --people auto.")
    if names and not draw and images:
        raise click.UsageError("--names needs --draw.")


def predict_video(images, *, people, model, person_model, draw, json_path, **options):
    """Follows, draws and writes down.

    Args:
        images: path of the video, in a list; empty for a camera.
    """
    from ..inference import frames

    camera, outputs = options["camera"], (draw, json_path, options["csv_path"])
    show = None if camera is None else frames.show_in_window
    if show and any(outputs) and not frames.has_display():
        echo("There is no screen; Ctrl-C ends the camera.")
        show = None
    source, found = images[0] if camera is None else camera, []
    written, failures = [], []
    looks = {"draw": draw, "show": show, "progress": progress("following"), "kept": found}
    looks |= {name: options[name] for name in ("smooth", "names", "threshold")}
    try:
        # a model of one's own may know no people
        finds = bool(people or person_model or not model)
        with (
            writing(draw, written, failures),
            opened(model, person_model, finds=finds, many=True, **options) as networks,
        ):
            if people:
                threshold, most = limits(**options)
                looks |= {"person_threshold": threshold, "most": most}
            _follow(source, networks, people, looks)
    finally:
        # also of a run that is interrupted
        if found:
            echo(_summary([sighting for _, sighting in found], people))
            _write(source, found, written, failures, json_path, options["csv_path"])
    if failures:
        raise ValueError("\n".join(failures))


def _follow(source, networks, people, looks):
    from ..inference import person_finder, video

    predictor, found = networks
    if people:
        video.follow_poses(source, predictor, person_finder.finder_of(*found), **looks)
        return
    find = None
    if found:
        network, spec = found
        find = functools.partial(person_finder.find_people, model=network, spec=spec)
    video.predict_video(source, predictor, find=find, **looks)


def _summary(sightings, everybody):
    if not everybody:
        again = sum(not sighting.followed for sighting in sightings)
        looked = f"the person was looked for in {again} of them, the first included"
        return f"{len(sightings)} frames; {looked}"
    ids, most = {one.id for people in sightings for one in people}, max(map(len, sightings))
    said = f"ids 1 to {max(ids)}, at most {most} at a time" if ids else "nobody was found"
    return f"{len(sightings)} frames; {said}"


def _write(source, found, written, failures, json_path, csv_path):
    from ..inference import video

    with writing(json_path, written, failures):
        write_json(json_path, {str(source): video.as_json(found)})
    with writing(csv_path, written, failures):
        if csv_path:
            video.write_csv(csv_path, found)
    for path in written:
        echo(f"Written: {path}")
