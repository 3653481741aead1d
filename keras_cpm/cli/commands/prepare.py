"""`keras-cpm prepare`: a data set to a file of records."""

import json

import click

from ...images import marks
from ...pose import output
from ..console import echo, progress, without_tensorflow
from ..options import COUNT, PATH
from ..outputs import guard, overwrite

# files of data sets that are read in ROOT
_OF_DATASETS = (
    *("lsp_dataset/joints.mat", "lspet_dataset/joints.mat", "examples.mat"),
    *("mpii_human_pose_v1_u12_1.mat", "detections.mat", "LSP-joints-OC.mat"),
)
_SPLITS = ("train", "test", "validation", "extended", "all", "tompson")


@click.command()
@click.argument(
    "dataset",
    type=click.Choice(
        [
            "lsp",
            "mpii",
            "flic",
            "coco",
            "sleap-io",
            "release",
            "records",
            "nobody",
            "synthetic",
            "groups",
            "scenes",
        ]
    ),
)
@click.argument("root", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--split",
    type=click.Choice(_SPLITS),
    help="Part of lsp, mpii, flic: train unless given. release, YOLO: all unless given.",
)
@click.option(
    "--images",
    type=PATH,
    help="Folder of the photographs (coco, release, sleap-io); else ROOT's folder.",
)
@click.option("--category", help="Of a COCO file in which several have keypoints.")
@click.option(
    "--sides",
    type=click.Choice(["observer", "person"]),
    help="Whose left and right (flic, lsp); unless given, the observer's for flic and the person's "
    "for lsp, as in the paper.",
)
@click.option(
    "--observer-labels",
    type=PATH,
    help="LSP-joints-OC.mat, the observer's labels, where it is not in ROOT (lsp).",
)
@click.option("--first", type=COUNT, help="Keep the records from this one on, counted from 1.")
@click.option("--last", type=COUNT, help="Keep the records up to this one.")
@click.option(
    "--hold-out",
    type=COUNT,
    help="Keep so many people out of OUT, by whole photographs, always the same; they go into "
    "the file OUT with .held before its suffix.",
)
@click.option(
    "--fill/--placed",
    default=False,
    help="Forget where people are said to be: they fill their photographs, as LSP is tested.",
)
@click.option(
    "--count",
    type=COUNT,
    default=1000,
    show_default=True,
    help="Pictures to draw (synthetic, groups).",
)
@click.option(
    "--figure",
    type=click.Choice(["person", "hand", "quadruped"]),
    default="person",
    show_default=True,
    help="What to draw (synthetic).",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of what is drawn.",
)
@overwrite
@without_tensorflow
def prepare(dataset, root, out, first, last, hold_out, fill, overwrite, **options):
    """Writes the records OUT.jsonl of a data set.

    \b
    lsp        ROOT holds lsp_dataset/ and lspet_dataset/; --split extended is all of the second.
    mpii       ROOT holds mpii_human_pose_v1_u12_1.mat, images/ and detections.mat, which alone is
               enough for --split validation, and for tompson, the predictions in it.
    flic       ROOT holds examples.mat and images/.
    coco       ROOT is a file of COCO keypoints, of whatever parts its category defines.
    sleap-io   ROOT is a .slp file of SLEAP, config.yaml or a CollectedData .csv of DeepLabCut,
               data.yaml of YOLO pose, or Label Studio's JSON (extra `labels`); labelled frames of
               videos are written into the folder OUT without .jsonl.
    release    ROOT is a file that the release's genJSON.m wrote.
    records    ROOT is a file of records, of which some are kept.
    nobody     ROOT is a folder or .zip of photographs without people: nobody is there to be found.
    synthetic  draws figures into the folder ROOT.
    groups     ROOT is a file of records of single people; puts them together to pictures of
               several in the folder OUT without .jsonl, for a network that finds people.
    scenes     ROOT is a file of records in whose photographs everybody is labelled; views of them,
               near and far, for a network that finds people.
    """
    skeleton, held_file = out.with_suffix(".skeleton.json"), output.beside(out, "held")
    outputs = [("OUT", out), *([("OUT", skeleton)] if dataset in _WITH_SKELETON else [])]
    outputs += [("OUT", held_file)] if hold_out else []
    inputs = [root, *(root / name for name in _OF_DATASETS), options["observer_labels"] or root]
    guard(outputs, inputs, overwrite)
    from ...data.jsonl import write_records
    from ...data.placement import filling
    from ...data.split import hold_out as split

    if dataset == "synthetic" and options["split"]:
        raise click.UsageError("--split belongs to a data set; what is drawn has none.")
    found = _READERS[dataset](root, options | {"out": out, "overwrite": overwrite})
    records = found[(first or 1) - 1 : last]
    if not records:
        asked = f", none of them from --first {first or 1} to --last {last}" if found else ""
        raise ValueError(f"{root} has {len(found)} records{asked}.")
    records = [filling(record) for record in records] if fill else records
    if hold_out:
        records, held = split(records, hold_out)
        write_records(held, held_file)
        echo(f"{len(held)} records in {held_file}")
    write_records(records, out)
    echo(f"{len(records)} records in {out}")
    if dataset in _WITH_SKELETON:
        _keep_skeleton(_WITH_SKELETON[dataset](root, options), skeleton)
    if dataset == "synthetic":
        echo("Train on them with --flip-probability 0: shade, not shape, tells left from right.")


def _lsp(root, options):
    from ...data.formats.lsp import load_lsp

    return load_lsp(
        root,
        options["split"] or "train",
        sides=options["sides"] or "person",
        observer_labels=options["observer_labels"],
        progress=progress("reading sizes"),
    )


def _mpii(root, options):
    from ...data.formats.mpii import load_mpii

    return load_mpii(root, options["split"] or "train", progress=progress("reading people"))


def _flic(root, options):
    from ...data.formats.flic import load_flic

    return load_flic(root, options["split"] or "train", sides=options["sides"] or "observer")


def _coco(root, options):
    from ...data.formats.coco import load_coco

    return load_coco(
        root,
        options["images"] or root.parent,
        split=options["split"] or "train",
        category=options["category"],
        progress=progress("reading people"),
    )


def _coco_skeleton(root, options):
    from ...data.formats.coco import coco_skeleton

    return coco_skeleton(root, options["category"])


def _labels(root, options):
    from ...data.formats.labels import load_labels

    return load_labels(
        root,
        images=options["images"],
        frames=options["out"].with_suffix(""),
        split=options["split"],
        progress=progress("reading people"),
    )


def _labels_skeleton(root, options):
    from ...data.formats.labels import labels_skeleton

    return labels_skeleton(root)


def _keep_skeleton(skeleton, path):
    """Limbs and mirror pairs, which records do not carry, where no built-in skeleton has them."""
    from ...pose.skeleton import skeleton_of

    if skeleton_of(skeleton.parts) != skeleton:
        marks.write_json(path, [json.dumps(skeleton.to_dict(), indent=2)])
        echo(f"Its limbs and mirror pairs: --skeleton {path}")


def _release(root, options):
    from ...data.formats.release_json import load_release

    return load_release(root, options["images"] or root.parent, split=options["split"])


def _records(root, options):
    from ...data.jsonl import read_records

    return read_records(root)


def _nobody(root, options):
    from ...data.formats.nobody import load_nobody

    return load_nobody(root, seed=options["seed"], progress=progress("reading sizes"))


def _synthetic(root, options):
    from ...data.synthetic import draw, figures

    figure, count = getattr(figures, options["figure"].upper()), options["count"]
    seed = options["seed"]
    names = [figures.picture_name(figure, seed, index) for index in range(count)]
    guard([("ROOT", root / name) for name in names], [], options["overwrite"])
    return draw.draw_records(root, count, figure=figure, seed=seed, progress=progress("drawing"))


def _groups(root, options):
    from ...data.jsonl import read_records
    from ...data.synthetic import groups
    from ...models.person import PERSON_SPEC

    people, folder, count = read_records(root), options["out"].with_suffix(""), options["count"]
    pictures = [("OUT", folder / groups.picture_name(index)) for index in range(count)]
    guard(pictures, [record.image for record in people], options["overwrite"])
    return groups.draw_groups(
        people, folder, count, PERSON_SPEC, seed=options["seed"], progress=progress("drawing")
    )


def _scenes(root, options):
    from ...data.jsonl import read_records
    from ...data.scenes import draw_scenes
    from ...models.person import PERSON_SPEC

    return draw_scenes(read_records(root), PERSON_SPEC, seed=options["seed"])


_READERS = {
    "lsp": _lsp,
    "mpii": _mpii,
    "flic": _flic,
    "coco": _coco,
    "sleap-io": _labels,
    "release": _release,
    "records": _records,
    "nobody": _nobody,
    "synthetic": _synthetic,
    "groups": _groups,
    "scenes": _scenes,
}

# these define their figure
_WITH_SKELETON = {"coco": _coco_skeleton, "sleap-io": _labels_skeleton}
