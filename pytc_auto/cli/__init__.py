"""The command line: parse, call the pipeline, print. One verb a file."""

from pytc_auto.cli.program import app as app
from pytc_auto.cli.program import main as main
