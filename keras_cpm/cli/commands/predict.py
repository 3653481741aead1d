"""`keras-cpm predict`: the poses in photographs."""

import json
from pathlib import Path

import click

from ...images import shards
from ..console import load_tensorflow, print_pose, progress, write_json
from ..options import PATH

_PHOTOGRAPHS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_SURE = 0.3
_BOXES = 'a list of boxes [x0, y0, x1, y1], of {"box": [...]} or of {"center": [x, y], "height": h}'


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
    help="Several people: auto finds them with a person network; a file lists boxes "
    "[x0, y0, x1, y1], or holds such lists by file name. In a video, auto is what happens without "
    "--model.",
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
@click.option(
    "--threshold",
    type=float,
    default=0.15,
    show_default=True,
    help="With --draw: parts with a lower score are not drawn.",
)
@click.option("--names", is_flag=True, help="With --draw: names and scores beside the parts.")
@click.option("--json", "json_path", type=PATH, help="Write keypoints and scores as JSON.")
@click.option("--csv", "csv_path", type=PATH, help="Of a video: a line a part and frame.")
@click.option(
    "--camera", type=click.IntRange(min=0), help="Instead of IMAGES: its number; Esc ends."
)
@click.option("--smooth/--no-smooth", default=True, help="Of a video.", show_default=True)
def predict(images, **options):
    """Finds the pose of the person in each of IMAGES, files or folders; without box or centre, the
    person fills the image. One of them may be a video: the person is followed from frame to frame.
    """
    from ...inference import frames

    images = tuple(path for image in images for path in _files(image))
    if bool(images) == (options["camera"] is not None):
        raise click.UsageError("Give IMAGES, or --camera NUMBER.")
    if options["camera"] is not None or any(map(frames.is_video, images)):
        _check_video(images, **options)
        _predict_video(images, **options)
    else:
        _check_photographs(images, **options)
        _predict_photographs(images, **options)


def _check_video(images, *, box, center, height, part, people, names, draw, **_):
    if len(images) > 1 or box or center or height or part or people not in (None, "auto"):
        raise click.UsageError(
            "A video goes alone, without --box, --center, --height, --part; --people may be auto."
        )
    if names and not draw and images:
        raise click.UsageError("--names needs --draw.")


def _check_photographs(images, *, box, center, height, part, people, person_model, **options):
    """What can be said before TensorFlow is loaded."""
    draw = options["draw"]
    rules = (
        (options["csv_path"], "--csv needs a video; photographs have --json."),
        (
            people and (box or center or height or part),
            "--people says where people are; leave out --box, --center, --height, --part.",
        ),
        (bool(center) != (height is not None), "--center and --height belong together."),
        (
            box and not (box[0] < box[2] and box[1] < box[3]),
            f"--box must be X0 Y0 X1 Y1 with X0 < X1 and Y0 < Y1. Received: {box}",
        ),
        (
            (box or center) and len(images) > 1,
            "--box and --center belong to one image; give one image.",
        ),
        (person_model and people != "auto", "--person-model needs --people auto."),
        (part and not draw, "--part needs --draw."),
        (options["names"] and not draw, "--names needs --draw."),
        (
            draw and draw.suffix and not draw.is_dir() and len(images) > 1,
            "--draw must be a folder when there are several images.",
        ),
    )
    for broken, sentence in rules:
        if broken:
            raise click.UsageError(sentence)
    # one missing of many does not cost the others
    if not any(path.is_file() or shards.contains(path) for path in images):
        raise click.ClickException(f"There is no image at {images[0]}; check the path.")
    for path in images if draw else ():
        if _drawing_path(draw, path, images).resolve() == path.resolve():
            raise click.UsageError(f"--draw would write over {path}; name another file or folder.")


def _predict_photographs(images, *, people, draw, part, json_path, **options):
    places = read_places(people, images) if people and people != "auto" else None
    load_tensorflow()
    from ...visualization import results

    predictor = _predictor(**options)
    finder = _finder(options["person_model"]) if people == "auto" else places and places.get
    where = {"center": options["center"] or None, "box": options["box"] or None}
    looks = {"threshold": options["threshold"], "names": options["names"]}
    found, written, failures, unsure = {}, [], [], []
    for path in progress("predicting")(images) if len(images) > 1 else images:
        target = _drawing_path(draw, path, images) if draw else None
        try:
            if finder:
                poses = predictor.predict_people(path, finder(path))
                found[str(path)] = {"people": [pose.to_dict() for pose in poses]}
                written += results.draw_prediction(path, poses, target, **looks) if draw else []
                continue
            pose = predictor(path, person_height=options["height"], **where)
        except (ValueError, FileNotFoundError) as error:
            # one bad image among many does not cost the others
            failures.append(str(error))
            continue
        found[str(path)] = pose.to_dict()
        unsure += [path] if sum(pose.scores >= _SURE) < len(pose.parts) / 2 else []
        written += results.draw_prediction(path, [pose], target, part, **looks) if draw else []
    write_json(json_path, found)
    if not json_path:
        _print(found, people)
    for path in [*written, *([json_path] if json_path else [])]:
        click.echo(f"Written: {path}")
    if unsure:
        click.echo(_advice(unsure, any(where.values())), err=True)
    if failures:
        # where the command line puts errors into its own words
        raise ValueError("\n".join(failures))


def _print(results, people):
    for path, result in results.items():
        click.echo(f"{path}:" if len(results) > 1 else "", nl=len(results) > 1)
        for number, person in enumerate(result.get("people", [result]), 1):
            if people:
                click.echo(f"person {number} of {len(result['people'])}")
            print_pose(person)
        if people and not result["people"]:
            click.echo("nobody found" if people == "auto" else "no boxes given")


def _predict_video(images, *, model, people, person_model, draw, json_path, **options):
    load_tensorflow()
    from ...inference import frames, video

    camera, outputs = options["camera"], (draw, json_path, options["csv_path"])
    show = None if camera is None else frames.show_in_window
    if show and any(outputs) and not frames.has_display():
        click.echo("There is no screen; Ctrl-C ends the camera.")
        show = None
    source = images[0] if camera is None else camera
    sightings = video.predict_video(
        source,
        _predictor(model, **options),
        # a model of one's own may know no people
        find=_finder(person_model) if people or person_model or not model else None,
        smooth=options["smooth"],
        draw=draw,
        names=options["names"],
        threshold=options["threshold"],
        show=show,
        progress=progress("following"),
    )
    write_json(json_path, {str(source): video.as_json(sightings)})
    if options["csv_path"]:
        video.write_csv(options["csv_path"], sightings)
    again = sum(not sighting.followed for _, sighting in sightings)
    click.echo(
        f"{len(sightings)} frames; the person was looked for in {again} of them, the first included"
    )
    for path in outputs:
        if path:
            click.echo(f"Written: {path}")


def _predictor(model, *, scales, flip, **_):
    from ...inference.predictor import Predictor
    from ...models import bundle

    network, spec = bundle.load(model or bundle.default_bundle())
    return Predictor(network, spec, scales=scales or (1.0,), flip=flip)


def _finder(person_model):
    """A function from the path of an image to the places of its people."""
    from ...inference.person_finder import find_people
    from ...models import bundle

    network, person_spec = bundle.load(person_model or bundle.default_person_bundle())
    return lambda path: find_people(path, network, person_spec)


def read_places(path, images):
    """The places of people in photographs, from a JSON file.

    Args:
        path: of the file; for one photograph it holds a list of boxes [x0, y0, x1, y1], of
            {"box": ...} or of {"center": [x, y], "height": h}, image frame, pixels; for several an
            object from file name to such a list.
        images: paths of the photographs.

    Returns:
        dict of path -> list of places as `Predictor.predict_people` takes them.

    Raises:
        FileNotFoundError, ValueError: naming the file and the entry.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file of boxes at {path}.")
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON: {_BOXES}. {error}") from None
    if not isinstance(content, dict):
        if len(images) > 1:
            raise ValueError(
                f"{path} must be an object from file name to boxes, as there are {len(images)} "
                "images. "
                f"Received: a {type(content).__name__}"
            )
        content = {str(images[0]): content}
    places = {}
    for image in images:
        names = (str(image), Path(image).as_posix(), Path(image).name)
        entries = next((content[name] for name in names if name in content), None)
        if entries is None:
            raise ValueError(f"{path} has no entry for {image}; give one by its path or file name.")
        if not isinstance(entries, list):
            raise ValueError(f"{path} must hold {_BOXES}. Received: {entries!r}")
        places[image] = [_place(entry, f"{path}, entry {i}") for i, entry in enumerate(entries)]
    return places


def _place(entry, where):
    fields = {"box": entry} if isinstance(entry, list) else entry
    wanted = ({"box"}, {"center", "height"})
    if not isinstance(fields, dict) or set(fields) not in wanted or not _are_numbers(fields):
        raise ValueError(f"{where} must be one of {_BOXES}. Received: {entry!r}")
    if "box" in fields:
        return {"box": tuple(fields["box"])}
    return {"center": tuple(fields["center"]), "person_height": fields["height"]}


def _are_numbers(fields):
    lengths = {"box": 4, "center": 2}
    for name, value in fields.items():
        values = value if name in lengths else [value]
        if not isinstance(values, list) or len(values) != lengths.get(name, 1):
            return False
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            return False
    return True


def _files(image):
    """The path itself, or the photographs of a folder."""
    if not image.is_dir():
        return [image]
    files = sorted(path for path in image.iterdir() if path.suffix.lower() in _PHOTOGRAPHS)
    if not files:
        raise click.UsageError(f"There is no photograph in the folder {image}.")
    return files


def _advice(unsure, placed):
    names = ", ".join(map(str, unsure[:3])) + (" ..." if len(unsure) > 3 else "")
    remedy = "check whether the person is in --box or at --center, in pixels of the photograph"
    if not placed:
        remedy = "if the person does not fill the photograph, give --box, or --people auto"
    return f"Fewer than half of the parts are sure (score {_SURE}) in {names}: {remedy}."


def _drawing_path(draw, image, images):
    if len(images) == 1 and draw.suffix and not draw.is_dir():
        return draw
    same_name = [path for path in images if path.stem == image.stem]
    number = f".{same_name.index(image) + 1}" if len(same_name) > 1 else ""
    return draw / f"{image.stem}{number}.png"
