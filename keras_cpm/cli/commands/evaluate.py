"""`keras-cpm evaluate`: a model, or prediction files, scored on records."""

import csv

import click

from ...evaluation.protocols import NORMALIZERS, PROTOCOLS
from ...images import marks
from ...pose import output
from ..coco import check_coco, evaluate_coco
from ..console import echo, load_tensorflow, print_scores, progress, write_json
from ..options import COUNT, PATH
from ..outputs import guard, overwrite


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="[MODEL] RECORDS")
@click.option(
    "--predictions",
    type=PATH,
    multiple=True,
    help="A file of predictions instead of MODEL: .mat of the release's layout or of MPI's "
    "benchmark, or records; with --protocol coco also results (.json); may be given again. A "
    "pattern in quotes, 'rivals/*_pc.mat', names several.",
)
@click.option(
    "--protocol",
    type=click.Choice([*PROTOCOLS, "coco"]),
    help="Test and score as the benchmark does: 7 scales, whole pixels, its normalizer and "
    "columns. coco: average precision and recall over OKS; RECORDS may be a COCO file.",
)
@click.option(
    "--sigmas",
    type=PATH,
    multiple=True,
    help="With --protocol coco: a .json of sigmas by part, of the parts that count; or records of "
    "the same people labelled again, from which they are estimated. Default: COCO's.",
)
@click.option(
    "--alpha",
    type=float,
    multiple=True,
    help="Thresholds; may be given again. Default 0.2, pckh 0.5, or the protocol's.",
)
@click.option("--metric", type=click.Choice(["pck", "pckh"]), help="pck unless given.")
@click.option(
    "--normalizer",
    type=click.Choice(NORMALIZERS),
    help="Of pck; the torso unless given, or the box around the labels for a skeleton without.",
)
@click.option(
    "--baseline", type=PATH, help="Training records: adds the row of their constant mean pose."
)
@click.option("--flip", is_flag=True, help="Also look at the mirror image.")
@click.option(
    "--scale", "scales", type=float, multiple=True, help="Zooms to look at; may be given again."
)
@click.option(
    "--refine",
    type=click.Choice(["none", "quarter", "log"]),
    help="How peaks are read: log unless given, none under lsp, flic and mpii.",
)
@click.option("--group-by", help="An attribute of the records: adds a table a group.")
@click.option("--curves", type=PATH, help="PREFIX: writes PREFIX.png and PREFIX.csv.")
@click.option("--draw", type=PATH, help="Folder for drawings of the first predictions.")
@click.option("--count", type=COUNT, default=12, show_default=True, help="Predictions to draw.")
@click.option("--json", "json_path", type=PATH, help="Write the tables as JSON, in percent.")
@click.option(
    "--write-predictions",
    "predictions_out",
    type=PATH,
    help="Write MODEL's predictions as .mat; for people without labels nothing is scored.",
)
@click.option(
    "--mpii-root",
    type=PATH,
    help="With --write-predictions for MPII's test people: the folder of its .mat, for the layout "
    "in which the benchmark takes predictions.",
)
@overwrite
def evaluate(paths, predictions, draw, count, curves, group_by, alpha, json_path, **options):
    """Scores MODEL, or files of predictions, on RECORDS: PCK in percent.

    \b
    keras-cpm evaluate cpm-light-lsp lsp_test.jsonl --flip
    keras-cpm evaluate --predictions FILE.mat lsp_test.jsonl --protocol lsp
    keras-cpm evaluate --predictions RESULTS.json coco_val.jsonl --protocol coco
    """
    predictions = [file for pattern in predictions for file in _matching(pattern)]
    _check_flags(paths, predictions, draw, curves, alpha, options)
    if options["protocol"] == "coco":
        others = {"draw": draw, "curves": curves, "group_by": group_by, "alpha": alpha}
        check_coco(paths, predictions, options | others)
        evaluate_coco(paths, predictions, json_path, options)
        return
    if options["sigmas"]:
        raise click.UsageError("--sigmas needs --protocol coco.")
    outputs = _outputs(draw, curves, json_path, options)
    baseline = [options["baseline"]] if options["baseline"] else []
    guard(outputs, [*paths, *predictions, *baseline], options["overwrite"])
    load_tensorflow()
    from ...data.jsonl import read_records
    from ...evaluation.scores import group_people

    records = read_records(paths[-1])
    guard(outputs, [record.image for record in records], options["overwrite"])
    groups = group_people(records, group_by) if group_by else {}
    if not predictions and not any(record.people[0].labelled.any() for record in records):
        if group_by or curves or json_path or draw:
            raise click.UsageError(
                "These people have no labels: there is nothing to score or draw."
            )
        _predict_unlabelled(paths[0], records, options)
        return
    score = _score_files if predictions else _score_model
    result = score(predictions or paths[0], records, options)
    tables = {"": _tables(result, alpha, options["protocol"])}
    for group, people in groups.items():
        name = f"{group_by} {group}, {len(people)} people"
        tables[name] = _tables(result.subset(people), alpha, options["protocol"])
    for name, scores in tables.items():
        if name:
            echo(name)
        for metric in next(iter(scores.values())):
            print_scores({row: {metric: entry[metric]} for row, entry in scores.items()})
    by_group = {name: scores for name, scores in tables.items() if name}
    write_json(json_path, tables[""] | ({"groups": by_group} if by_group else {}))
    if curves:
        _write_curves(result, options["protocol"], curves)
    if draw:
        _draw(paths[0], records[:count], draw, options)


def _outputs(draw, curves, json_path, options):
    outputs = [("--json", json_path), ("--write-predictions", options["predictions_out"])]
    outputs += [("--draw", draw / _DRAWN)] if draw else []
    outputs += [("--curves", path) for path in _curve_files(curves)] if curves else []
    return outputs


def _matching(pattern):
    """The file of that name, or files by a pattern of names in a folder."""
    if pattern.is_file() or not set("*?[") & set(pattern.name):
        return [pattern]
    found = sorted(path for path in pattern.parent.glob(pattern.name) if path.is_file())
    if not found:
        raise click.UsageError(f"--predictions {pattern} matches no file.")
    return found


_DRAWN = "predictions.png"
_OF_A_MODEL = ("baseline", "flip", "scales", "refine", "predictions_out", "mpii_root")


def _check_flags(paths, predictions, draw, curves, alpha, options):
    """What can be refused before anything is loaded."""
    if len(paths) != (1 if predictions else 2):
        raise click.UsageError("Give MODEL and RECORDS, or --predictions FILE and RECORDS.")
    given = [name for name in _OF_A_MODEL if options[name]] + (["draw"] if draw else [])
    if predictions and given:
        flag = {"scales": "scale", "predictions_out": "write-predictions"}.get(given[0], given[0])
        raise click.UsageError(
            f"--{flag.replace('_', '-')} belongs to a MODEL, not to --predictions."
        )
    if len({path.resolve() for path in predictions}) < len(predictions):
        raise click.UsageError("--predictions names the same file twice.")
    if curves and not curves.name:
        raise click.UsageError("--curves needs the beginning of a file name, such as runs/curves.")
    if not all(0 <= threshold < float("inf") for threshold in alpha):
        raise click.UsageError("--alpha must be zero or more.")
    if options["mpii_root"] and not options["predictions_out"]:
        raise click.UsageError("--mpii-root needs --write-predictions.")
    out = options["predictions_out"]
    if out and out.suffix != ".mat":
        raise click.UsageError("--write-predictions must name a .mat file.")


def _score_files(paths, records, options):
    from ...data.formats.predictions import read_predictions
    from ...evaluation.evaluate import evaluate_predictions

    names = [path.stem for path in paths]
    names = [str(p) if names.count(p.stem) > 1 else p.stem for p in paths]
    read = {name: read_predictions(path) for name, path in zip(names, paths, strict=True)}
    chosen = {name: options[name] for name in ("protocol", "metric", "normalizer")}
    return evaluate_predictions(read, records, **chosen)


def _looks(options):
    looks = {name: options[name] or None for name in ("protocol", "scales", "refine")}
    return looks | {"flip": options["flip"]}


def _score_model(model, records, options):
    from ...data.jsonl import read_records
    from ...evaluation import evaluate
    from ...models import bundle

    network, spec = bundle.load(model)
    _check_mpii(records, options["mpii_root"])
    baseline = options["baseline"]
    result = evaluate.evaluate(
        network,
        records,
        spec,
        metric=options["metric"],
        normalizer=options["normalizer"],
        baseline_records=read_records(baseline) if baseline else (),
        progress=progress("predicting"),
        **_looks(options),
    )
    _write_predictions(records, result.predicted, result.skeleton.parts, options)
    return result


def _predict_unlabelled(model, records, options):
    from ...evaluation import evaluate
    from ...models import bundle

    if not options["predictions_out"]:
        raise ValueError(
            "The people of these records have no labels; write what is predicted for them with "
            "--write-predictions."
        )
    network, spec = bundle.load(model)
    _check_mpii(records, options["mpii_root"])
    rows = evaluate.predict_records(
        network, records, spec, progress=progress("predicting"), **_looks(options)
    )
    _write_predictions(records, rows, spec.skeleton.parts, options)


def _check_mpii(records, root):
    if root is None:
        return
    from ...data.formats.mpii import check_test_records

    check_test_records(records, root)


def _write_predictions(records, rows, parts, options):
    """The last stage's."""
    from ...data.formats.mpii import write_mpii_predictions
    from ...data.formats.predictions import write_predictions

    path, root = options["predictions_out"], options["mpii_root"]
    if path is None:
        return
    name, points = list(rows.items())[-1]
    if root:
        write_mpii_predictions(path, records, points, root=root, parts=parts)
    else:
        write_predictions(path, points, parts)
    echo(f"Written: {path}, the predictions of {name}")


def _tables(result, alphas, protocol):
    """Row -> every score, by its name."""
    rules = PROTOCOLS.get(protocol)
    default = rules.alphas if rules else (0.5 if result.metric == "pckh" else 0.2,)
    scores = [result.scores(alpha) for alpha in alphas or default]
    if rules:
        scores.append(result.areas(rules.thresholds))
    return {
        row: {name: entry for table in scores for name, entry in table[row].items()}
        for row in result.predicted
    }


def _curve_files(prefix):
    stem = prefix.stem if prefix.suffix in (".png", ".csv") else prefix.name
    return prefix.with_name(f"{stem}.png"), prefix.with_name(f"{stem}.csv")


def _write_curves(result, protocol, prefix):
    from ...visualization.plots import plot_curves

    rules = PROTOCOLS.get(protocol)
    end = rules.end if rules else (0.5 if result.metric == "pckh" else 0.2)
    thresholds = [i / 100 for i in range(round(100 * end) + 1)]
    lines = result.curves(thresholds)
    picture, table = _curve_files(prefix)
    plot_curves(lines, thresholds, picture, result.metric)
    with output.whole(table) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*marks.TABLES[1], *(f"{t:g}" for t in thresholds)])
        for row, columns in lines.items():
            for column, values in columns.items():
                writer.writerow([row, column, *(f"{value:.4f}" for value in values)])
    echo(f"Written: {picture}, {table}")


def _draw(model, records, folder, options):
    from ...evaluation.evaluate import predictor_for
    from ...models import bundle
    from ...visualization import results

    predictor = predictor_for(*bundle.load(model), **_looks(options))
    sheet = results.draw_predictions(predictor, records, folder / _DRAWN)
    echo(f"Drawn: {sheet}")
