"""`python -m keras_cpm`: the command line."""

from .cli.main import main

main(prog_name="keras-cpm")
