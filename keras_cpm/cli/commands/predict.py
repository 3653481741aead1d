"""`keras-cpm predict`: the poses in photographs."""

import contextlib

import click

from ...images import formats, shards
from ...models.person import MOST_PEOPLE, THRESHOLD
from ..console import echo, print_pose, progress, write_json
from ..engines import engine_options, opened
from ..options import COUNT, PATH
from ..outputs import drawing_files, guard, overwrite, writing
from ..people import everybody, read_places
from ..videos import check_video, predict_video

_SURE = 0.3
# photographs from which on it matters how long an engine takes for each
_MANY = 5


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
    "[x0, y0, x1, y1], or holds such lists by file name. In a video, auto follows everybody, each "
    "with an id; without it one person is followed.",
)
@click.option("--person-model", help="With --people auto: the bundle of the person network.")
@click.option(
    "--person-threshold",
    type=click.FloatRange(0, 1),
    help="With --people auto: mean score of the parts from which somebody is a person; "
    f"{THRESHOLD} unless given.",
)
@click.option(
    "--max-people",
    type=COUNT,
    help=f"With --people auto: the surest so many; {MOST_PEOPLE} unless given.",
)
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
@click.option(
    "--coco", "coco_path", type=PATH, help="With --people: write COCO results, for its tools."
)
@click.option(
    "--csv",
    "csv_path",
    type=PATH,
    help="Of a video: a line a part and frame, and with --people auto a person.",
)
@click.option(
    "--camera", type=click.IntRange(min=0), help="Instead of IMAGES: its number; Esc ends."
)
@click.option("--smooth/--no-smooth", default=True, help="Of a video.", show_default=True)
@engine_options
@overwrite
def predict(images, **options):
    """Finds the pose of the person in each of IMAGES, files or folders; without box or centre, the
    person fills the image. One of them may be a video: the person, or with --people auto everybody,
    is followed from frame to frame.
    """
    from ...inference import frames

    images = tuple(path for image in images for path in _files(image, options["draw"]))
    if bool(images) == (options["camera"] is not None):
        raise click.UsageError("Give IMAGES, or --camera NUMBER.")
    if options["camera"] is not None or any(map(frames.is_video, images)):
        check_video(images, **options)
        _guard(images, [("--draw", options["draw"]), ("--csv", options["csv_path"])], **options)
        predict_video(images, **options)
    else:
        _check_photographs(images, **options)
        _predict_photographs(images, **options)


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
        (
            (person_model or options["person_threshold"] is not None or options["max_people"])
            and people != "auto",
            "--person-model, --person-threshold and --max-people need --people auto.",
        ),
        (options["coco_path"] and not people, "--coco needs --people."),
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


def _guard(images, outputs, *, json_path, coco_path, model, person_model, people, overwrite, **_):
    read = [*images, *(path for path in (model, person_model, people) if path)]
    guard([*outputs, ("--json", json_path), ("--coco", coco_path)], read, overwrite)


def _predict_photographs(images, *, people, draw, part, json_path, **options):
    drawings = drawing_files(draw, images, part) if draw else [()] * len(images)
    outputs = [("--draw", path) for paths in drawings for path in paths]
    _guard(images, outputs, json_path=json_path, people=people, **options)
    places = read_places(people, images) if people and people != "auto" else None
    from ...data.formats.coco_writer import coco_results
    from ...images import decode
    from ...inference.people import as_json
    from ...inference.person_finder import finder_of
    from ...visualization import results

    where = {"center": options["center"] or None, "box": options["box"] or None}
    looks = {"threshold": options["threshold"], "names": options["names"]}
    found, everyone, written, failures, unsure = {}, {}, [], [], []
    pairs = list(zip(images, drawings, strict=True))
    with opened(finds=people == "auto", many=len(images) > _MANY, **options) as (predictor, finder):
        find = finder_of(*finder) if finder else None
        look = everybody(predictor, places, find, **options) if people else None
        try:
            for path, files in progress("predicting")(pairs) if len(images) > 1 else pairs:
                with _kept_going(path, failures):
                    if look:
                        photograph = decode.upright_array(path)
                        persons = look(path, photograph)
                        poses = [person.pose for person in persons]
                        everyone[str(path)] = [(person.pose, person.score) for person in persons]
                        found[str(path)] = as_json(persons, photograph.shape[:2])
                    else:
                        poses = [predictor(path, person_height=options["height"], **where)]
                        found[str(path)] = poses[0].to_dict()
                        sure = sum(poses[0].scores >= _SURE)
                        unsure += [path] if sure < len(poses[0].parts) / 2 else []
                    if files:
                        written += results.draw_prediction(path, poses, files[0], part, **looks)
        finally:
            # also of a run that is interrupted
            with writing(options["coco_path"], written, failures):
                write_json(options["coco_path"], coco_results(everyone))
            _report(found, written, failures, people, json_path)
    if unsure:
        echo(_advice(unsure, any(where.values())), err=True)
    if failures:
        # where the command line puts errors into its own words
        raise ValueError("\n".join(failures))


@contextlib.contextmanager
def _kept_going(path, failures):
    """One bad image, or a drawing without room, does not cost the others."""
    from ...pose.arithmetic import tf

    try:
        yield
    except (MemoryError, tf.errors.ResourceExhaustedError):
        failures.append(f"There is not enough memory for {path}; make it smaller.")
    except ValueError as error:
        failures.append(str(error))
    except OSError as error:
        # ours are sentences, those of the system have a number
        failures.append(f"{path} cannot be read ({error.strerror})." if error.errno else str(error))


def _report(found, written, failures, people, json_path):
    """Writes what was found, and prints it where there is no file, or no room for one."""
    try:
        write_json(json_path, found)
    except OSError as error:
        failures.append(f"{error} What was found is printed instead.")
        json_path = None
    if not json_path:
        _print(found, people)
    for path in [*written, *([json_path] if json_path else [])]:
        echo(f"Written: {path}")
    nobody = [path for path, entry in found.items() if people == "auto" and not entry["people"]]
    if nobody:
        echo(
            f"Nobody was found in {_some(nobody)}, {len(nobody)} of {len(found)} photographs: say "
            "where people are with --people BOXES.json, or --box for one.",
            err=True,
        )


def _print(results, people):
    for path, result in results.items():
        echo(f"{path}:" if len(results) > 1 else "", nl=len(results) > 1)
        for number, person in enumerate(result.get("people", [result]), 1):
            if people:
                echo(f"person {number} of {len(result['people'])}")
            print_pose(person)
        if people and not result["people"]:
            echo("nobody found" if people == "auto" else "no boxes given")


def _files(image, draw):
    """The path itself, or the photographs of a folder."""
    if not image.is_dir():
        return [image]
    photographs, others = formats.list_photographs(image)
    others = [path for path in others if path != draw]
    if not photographs:
        raise click.UsageError(f"There is no photograph in the folder {image}.")
    if others:
        names = _some([f"{path.name}/" if path.is_dir() else path.name for path in others])
        echo(
            f"Passed over in {image}, as they are no photographs: {names} ({len(others)}).",
            err=True,
        )
    return photographs


def _some(names):
    return ", ".join(map(str, names[:3])) + (" ..." if len(names) > 3 else "")


def _advice(unsure, placed):
    remedy = "check whether the person is in --box or at --center, in pixels of the photograph"
    if not placed:
        remedy = "if the person does not fill the photograph, give --box, or --people auto"
    return f"Fewer than half of the parts are sure (score {_SURE}) in {_some(unsure)}: {remedy}."
