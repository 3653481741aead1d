"""Trains with JAX in the workers of a Ray cluster, and again whenever a worker is lost.

    pip install "keras-cpm[jax]" "ray[train]"
    python examples/several_hosts/ray_train.py --workers 4 --gpus 1 -- \\
        RECORDS.jsonl --validation OTHERS.jsonl --out /shared/runs/mine

What follows `--` is that of `keras-cpm train`. All machines see the same files by the same paths;
without a cluster to connect to (`ray start`, RAY_ADDRESS), Ray starts on this one. It is one
training for any number of workers, so that a restart may have another.
"""

import argparse
import os
import socket

import ray
import ray.train
import ray.util
from ray.train.collective import broadcast_from_rank_zero
from ray.train.v2.jax import JaxTrainer


def work(arguments):
    """What every worker does."""
    os.environ["KERAS_BACKEND"] = "jax"
    import jax

    from keras_cpm.cli.main import main

    # where GPUs or TPUs are asked for, Ray has made the processes one
    if not jax.distributed.is_initialized():
        context = ray.train.get_context()
        coordinator = broadcast_from_rank_zero(free_address())
        numbers = [context.get_world_size(), context.get_world_rank()]
        arguments = [*arguments, "--coordinator", coordinator]
        arguments += [f"--processes={numbers[0]}", f"--process={numbers[1]}"]
    main(["train", *arguments], standalone_mode=False)


def free_address():
    with socket.socket() as free:
        free.bind((ray.util.get_node_ip_address(), 0))
        return "{}:{}".format(*free.getsockname())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1, help="processes; 1 unless given")
    parser.add_argument("--gpus", type=int, default=0, help="of each; 0 unless given")
    parser.add_argument("--restarts", type=int, default=100, help="at most; 100 unless given")
    parser.add_argument("arguments", nargs="+", help="of keras-cpm train")
    options = parser.parse_args()
    resources = {"CPU": 1} | ({"GPU": options.gpus} if options.gpus else {})
    JaxTrainer(
        work,
        train_loop_config=options.arguments,
        scaling_config=ray.train.ScalingConfig(
            num_workers=options.workers,
            use_gpu=options.gpus > 0,
            resources_per_worker=resources,
        ),
        run_config=ray.train.RunConfig(
            failure_config=ray.train.FailureConfig(max_failures=options.restarts)
        ),
    ).fit()


if __name__ == "__main__":
    main()
