"""The command line: one small file per command, imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from edgewright import __version__
from edgewright.core.errors import EdgewrightError

COMMANDS = {
    "inspect": "what a model is: signature, size, compute, memory, operators, coverage",
    "targets": "the machines Edgewright knows; show one; detect this one",
    "advise": "which engine, number types and recipe to try on a target, with reasons",
    "optimize": "search for the best measured candidates under constraints, and seal the best one",
    "reproduce": "make a candidate again from its report: the same bytes",
    "measure": "measure models side by side in one interleaved run",
    "convert": "write a model in another format",
    "bundle": "seal, verify, open or pack what ships",
}
"""Each command is the module ``edgewright.cli.<name>`` with ``add(parser)`` and ``run(arguments) -> exit status``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status 0 done, 1 failed, 2 unusable input, 3 nothing feasible, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="edgewright",
        description="From a trained model to a trusted decision at the edge.",
        epilog="edgewright COMMAND --help tells more of one command.",
    )
    parser.add_argument("--version", action="version", version=f"edgewright {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((a for a in arguments if not a.startswith("-")), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name == chosen:
            module = importlib.import_module(f"edgewright.cli.{name}")
            module.add(command)
            command.set_defaults(run=module.run)
    parsed = parser.parse_args(arguments)
    try:
        return int(parsed.run(parsed))
    except EdgewrightError as error:
        return _say(error, str(error), error.exit_status, parsed.debug)
    except KeyboardInterrupt as error:
        return _say(error, "interrupted; nothing half-written is left", 130, False)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except MemoryError as error:
        return _say(error, "out of memory; use a smaller model or fewer samples", 1, parsed.debug)
    except Exception as error:  # noqa: BLE001 - the outermost edge: one line for people, the traceback on request
        kind = type(error).__name__
        return _say(
            error, f"unexpected {kind}: {str(error)[:200]} (run again with --debug and report it)", 1, parsed.debug
        )


def _say(error: BaseException, message: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    print(f"edgewright: {' '.join(message.split())}", file=sys.stderr)
    return status
