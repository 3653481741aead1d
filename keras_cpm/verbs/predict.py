"""`keras-cpm predict`: the poses in photographs."""

import click

from ..flags import PATH
from ..terminal import load_tensorflow, print_pose, progress, write_json


@click.command()
@click.argument("images", type=PATH, nargs=-1)
@click.option("--model", help="MODEL; without it, the shipped one.")
@click.option(
    "--box",
    type=float,
    nargs=4,
    metavar="X0 Y0 X1 Y1",
    help="Around the person, in image pixels, with spaces.",
)
@click.option(
    "--center", type=float, nargs=2, metavar="X Y", help="Middle of the person; with --height."
)
@click.option("--height", type=float, help="Height of the person in image pixels.")
@click.option(
    "--people",
    metavar="auto|BOXES.json",
    help="Several people: auto finds them with a person network; a file lists boxes [x0, y0, x1, y1], "
    "or holds such lists by file name. In a video, auto is what happens without --model.",
)
@click.option("--person-model", help="With --people auto: the bundle of the person network.")
@click.option("--flip", is_flag=True, help="Also look at the mirror image.")
@click.option(
    "--scale", "scales", type=float, multiple=True, help="Zooms to average; may be given again."
)
@click.option("--draw", type=PATH, help="A folder, or for one image a file.")
@click.option(
    "--part", help="With --draw: also draws this part's belief map, and its stages side by side."
)
@click.option("--names", is_flag=True, help="With --draw: names and scores beside the parts.")
@click.option("--json", "json_path", type=PATH, help="Write keypoints and scores as JSON.")
@click.option("--csv", "csv_path", type=PATH, help="Of a video: a line a part and frame.")
@click.option(
    "--camera", type=click.IntRange(min=0), help="Instead of IMAGES: its number; Esc ends."
)
@click.option("--smooth/--no-smooth", default=True, help="Of a video.", show_default=True)
def predict(images, model, people, person_model, draw, part, names, json_path, **options):
    """Finds the pose of the person in each of IMAGES; without box or centre, the person fills the
    image. One of them may be a video: the person is followed from frame to frame.
    """
    from .. import video

    box, center = options["box"], options["center"]
    is_video = options["camera"] is not None or any(map(video.is_video, images))
    if bool(images) == (options["camera"] is not None):
        raise click.UsageError("Give IMAGES, or --camera NUMBER.")
    if is_video:
        place = box or center or options["height"]
        if len(images) > 1 or place or part or people not in (None, "auto"):
            raise click.UsageError(
                "A video goes alone, without --box, --center, --height, --part; --people may be auto."
            )
        if names and not draw and images:
            raise click.UsageError("--names needs --draw.")
        return _predict_video(
            images, model, people, person_model, draw, names, json_path, **options
        )
    if options["csv_path"]:
        raise click.UsageError("--csv needs a video; photographs have --json.")
    if (box or center) and len(images) > 1:
        raise click.UsageError("--box and --center belong to one image; give one image.")
    if people and (box or center or options["height"] or part):
        raise click.UsageError(
            "--people says where people are; leave out --box, --center, --height, --part."
        )
    if person_model and people != "auto":
        raise click.UsageError("--person-model needs --people auto.")
    if (part or names) and not draw:
        raise click.UsageError(f"{'--part' if part else '--names'} needs --draw.")
    if draw and draw.suffix and not draw.is_dir() and len(images) > 1:
        raise click.UsageError("--draw must be a folder when there are several images.")
    targets = {path: _drawing_path(draw, path, images) for path in images if draw}
    for path, target in targets.items():
        if target.resolve() == path.resolve():
            raise click.UsageError(f"--draw would write over {path}; name another file or folder.")
    load_tensorflow()
    from .. import bundle, pictures
    from ..people import read_places
    from ..predictor import Predictor

    places = read_places(people, images) if people and people != "auto" else None
    network, spec = bundle.load(model or bundle.default_bundle())
    predictor = Predictor(network, spec, scales=options["scales"] or (1.0,), flip=options["flip"])
    find = places.get if places else None
    if people == "auto":
        find = _finder(person_model)
    results, drawn, failures = {}, [], []
    for path in progress("predicting")(images) if len(images) > 1 else images:
        target = targets.get(path)
        try:
            if find:
                poses = predictor.predict_people(path, find(path))
                results[str(path)] = {"people": [pose.to_dict() for pose in poses]}
                drawn += pictures.draw_people(path, poses, target, names=names) if draw else []
                continue
            pose = predictor(
                path, center=center or None, person_height=options["height"], box=box or None
            )
        except (ValueError, FileNotFoundError) as error:
            # one bad image among many does not cost the others
            failures.append(str(error))
            continue
        results[str(path)] = pose.to_dict()
        if draw:
            drawn += pictures.draw_prediction(path, pose, target, part, names=names)
    write_json(json_path, results)
    if not json_path:
        for path, result in results.items():
            click.echo(f"{path}:" if len(images) > 1 else "", nl=len(images) > 1)
            for number, person in enumerate(result.get("people", [result]), 1):
                if people:
                    click.echo(f"person {number} of {len(result['people'])}")
                print_pose(person)
            if people and not result["people"]:
                click.echo("nobody found" if people == "auto" else "no boxes given")
    for path in [*drawn, *([json_path] if json_path else [])]:
        click.echo(f"Written: {path}")
    if failures:
        raise click.ClickException("\n".join(failures))


def _predict_video(images, model, people, person_model, draw, names, json_path, **options):
    load_tensorflow()
    from .. import bundle, clips, video
    from ..predictor import Predictor

    network, spec = bundle.load(model or bundle.default_bundle())
    scales = options["scales"] or (1.0,)
    predictor = Predictor(network, spec, scales=scales, flip=options["flip"])
    camera, outputs = options["camera"], (draw, json_path, options["csv_path"])
    show = None if camera is None else video.show_in_window
    if show and any(outputs) and not video.has_display():
        click.echo("There is no screen; Ctrl-C ends the camera.")
        show = None
    source = images[0] if camera is None else camera
    sightings = clips.predict_video(
        source,
        predictor,
        # a model of one's own may know no people
        find=_finder(person_model) if people or person_model or not model else None,
        smooth=options["smooth"],
        draw=draw,
        names=names,
        show=show,
        progress=progress("following"),
    )
    write_json(json_path, {str(source): clips.as_json(sightings)})
    if options["csv_path"]:
        clips.write_csv(options["csv_path"], sightings)
    again = sum(not sighting.followed for _, sighting in sightings)
    click.echo(f"{len(sightings)} frames; the person was looked for anew in {again} of them")
    for path in outputs:
        if path:
            click.echo(f"Written: {path}")


def _finder(person_model):
    """A function from the path of an image to the places of its people."""
    from .. import bundle
    from ..people import find_people

    network, person_spec = bundle.load(person_model or bundle.default_person_bundle())
    return lambda path: find_people(path, network, person_spec)


def _drawing_path(draw, image, images):
    if len(images) == 1 and draw.suffix and not draw.is_dir():
        return draw
    same_name = [path for path in images if path.stem == image.stem]
    number = f".{same_name.index(image) + 1}" if len(same_name) > 1 else ""
    return draw / f"{image.stem}{number}.png"
