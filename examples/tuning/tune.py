"""Searches learning rate, decay and width with Optuna, by people held out; never the test set.

    pip install keras-cpm optuna
    python examples/tuning/tune.py RECORDS.jsonl OUT --trials 30 --epochs 20

After each epoch a training whose PCK of the last stage falls behind the others' is given up. The
same command again goes on. `keras-cpm train` has options of the same names for what was found.
"""

import argparse
from pathlib import Path

import keras
import optuna

import keras_cpm
from keras_cpm.data.split import hold_out


def objective(trial, people, held_out, out, **settings):
    """The best PCK of the last stage on those held out."""
    rate = trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    decay = trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True)
    width = trial.suggest_categorical("width", settings.pop("widths"))
    changes = {"learning_rate": rate, "weight_decay": decay, "width": width, **settings}
    plan = keras_cpm.plan_training(people, **changes)
    best = f"val_stage{plan.network['stages']}_pck"

    def report(epoch, logs):
        trial.report(logs[best], epoch)
        if trial.should_prune():
            raise optuna.TrialPruned

    watch = [keras.callbacks.LambdaCallback(on_epoch_end=report)]
    folder = out / f"trial{trial.number}"
    fit = plan.train(plan.build(), people, held_out, directory=folder, verbose=0, callbacks=watch)
    return max(fit.history[best])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("records", type=Path)
    parser.add_argument("out", type=Path)
    for name, value in {"trials": 30, "epochs": 20, "box-size": 192, "batch-size": 16}.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{value} unless given")
    parser.add_argument("--widths", type=int, nargs="+", default=[32, 64, 128])
    settings = vars(parser.parse_args())
    records, out, trials = (settings.pop(name) for name in ("records", "out", "trials"))
    out.mkdir(parents=True, exist_ok=True)
    records = keras_cpm.read_records(records)
    people, held_out = hold_out(records, max(1, len(records) // 5))
    where = {"storage": f"sqlite:///{out / 'tuning.db'}", "load_if_exists": True}
    study = optuna.create_study(study_name="tuning", direction="maximize", **where)
    study.optimize(lambda trial: objective(trial, people, held_out, out, **settings), trials)
    print(f"PCK {study.best_value:.3f} with {study.best_params}; see {out}")


if __name__ == "__main__":
    main()
