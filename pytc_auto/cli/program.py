"""The program: its verbs, and what a fault of the user looks like."""

from __future__ import annotations

import logging
import sys

import typer

from pytc_auto.cli.decode import decode
from pytc_auto.cli.demo import demo
from pytc_auto.cli.evaluate import evaluate
from pytc_auto.cli.import_v1 import import_v1
from pytc_auto.cli.plan import plan
from pytc_auto.cli.predict import predict
from pytc_auto.cli.screen import escaped, screen
from pytc_auto.cli.select import select
from pytc_auto.cli.status import status
from pytc_auto.cli.sweep import sweep
from pytc_auto.cli.train import train
from pytc_auto.cli.view import view
from pytc_auto.errors import PytcError

VERBS = (plan, train, predict, status, decode, evaluate, view, sweep, select, import_v1, demo)
"""In the order of the help."""

INTERRUPTED = 130
"""Exit code after Ctrl-C; typer makes it of a KeyboardInterrupt before we see one."""

app = typer.Typer(
    help="Segment electron-microscopy volumes without writing a configuration.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in VERBS:
    app.command()(verb)


def main() -> None:
    """Run a verb. A fault the user can mend is one message and exit code 1; what libraries say beside it is left out."""
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    try:
        app()
    except PytcError as error:
        screen(stderr=True).print(f"[bold red]Error:[/] {escaped(str(error))}", soft_wrap=True)
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as ended:
        if isinstance(ended, SystemExit) and ended.code != INTERRUPTED:
            raise
        screen(stderr=True).print("Stopped. Run the same command again; what is finished is kept.")
        sys.exit(INTERRUPTED)
