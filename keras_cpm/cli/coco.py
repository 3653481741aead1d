"""`keras-cpm evaluate --protocol coco`: what it takes, and what it prints."""

from pathlib import Path

import click

from .console import echo, load_tensorflow, print_table, progress, write_json
from .outputs import guard

# what belongs to PCK, by its flag
_OTHERS = {
    name: name.replace("_", "-")
    for name in ("alpha", "metric", "normalizer", "baseline", "group_by", "curves", "draw")
} | {"predictions_out": "write-predictions"}


def check_coco(paths, predictions, given):
    """What can be refused before anything is loaded."""
    for name, flag in _OTHERS.items():
        if given[name]:
            raise click.UsageError(f"--{flag} does not go with --protocol coco; leave it out.")
    labels = Path(paths[-1])
    if not predictions and labels.suffix == ".json":
        raise click.UsageError(
            f"A MODEL is scored on records; make them of {labels} with keras-cpm prepare coco, "
            "or give --predictions RESULTS.json of keras-cpm predict --people auto --coco."
        )
    sigmas = given["sigmas"]
    kinds = {path.suffix for path in sigmas}
    one_file = len(sigmas) == 1 and kinds == {".json"}
    again = kinds == {".jsonl"} == {labels.suffix}
    if sigmas and not one_file and not again:
        raise click.UsageError(
            "--sigmas must be one .json of sigmas by part, or for RECORDS the .jsonl of the same "
            f"people labelled again. Received: {', '.join(map(str, sigmas))}"
        )


def evaluate_coco(paths, predictions, json_path, options):
    """Scores MODEL, or files, and prints the ten numbers of each row."""
    files = options["sigmas"]
    guard([("--json", json_path)], [*paths, *predictions, *files], options["overwrite"])
    load_tensorflow()
    from ..data.jsonl import read_records
    from ..evaluation import coco
    from ..evaluation.sigmas import estimate_sigmas, read_sigmas

    file = Path(paths[-1])
    labels = file if file.suffix == ".json" else read_records(file)
    sigmas, origin = None, "COCO's"
    if files and files[0].suffix == ".json":
        sigmas, origin = read_sigmas(files[0]), f"those of {files[0]}"
    elif files:
        sigmas = estimate_sigmas([labels, *map(read_records, files)])
        origin = f"estimated from {len(files) + 1} labellings of {len(labels)} people"
    rows = _of_files(predictions) if predictions else _of_model(paths[0], labels, options)
    scores = coco.evaluate_coco(labels, rows, sigmas=sigmas)
    print_table("COCO's average precision and recall over OKS, in percent", scores.rows)
    echo(
        f"{scores.people} people, the area of {scores.measured} from the labels, of the others "
        f"from their box. {len(scores.sigmas)} of {len(scores.parts)} parts count; sigmas, "
        f"{origin}: {', '.join(f'{part} {value:.4f}' for part, value in scores.sigmas.items())}"
    )
    by_row = {row: {"oks": ten} for row, ten in scores.rows.items()}
    write_json(json_path, by_row | {"sigmas": scores.sigmas})


def _of_files(paths):
    from ..data.formats.coco_results import read_coco_results
    from ..data.formats.predictions import read_predictions

    names = [path.stem for path in paths]
    return {
        str(path) if names.count(path.stem) > 1 else path.stem: (
            read_coco_results(path) if path.suffix == ".json" else read_predictions(path)
        )
        for path in paths
    }


def _of_model(model, records, options):
    from ..evaluation.evaluate import predict_scored
    from ..models import bundle

    network, spec = bundle.load(model)
    looks = {"scales": options["scales"] or None, "refine": options["refine"]}
    return predict_scored(
        network, records, spec, flip=options["flip"], progress=progress("predicting"), **looks
    )
