"""The command line: one small file per command, imported only when it is called."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

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
    "bundle": "verify, show, pack or unpack what ships",
    "export": "clients, projects and deployment templates made of a bundle",
    "serve": "a bundle, a model or a folder of them as a service (Open Inference Protocol v2)",
    "infer": "ask a served model, or a bundle here, about images or arrays",
    "hub": "the control plane of a fleet: accounts, releases, devices",
    "login": "which hub the commands below speak to, and as whom",
    "release": "a bundle to the devices of a group, in waves behind gates",
    "rollout": "see rollouts, order them about, and sign what they may run",
    "devices": "the fleet in a table",
    "device": "let a device in, look at it, shut it out",
    "alerts": "what needs somebody",
    "audit": "export a hub's audit log, and hold one against its signed heads",
    "agent": "the agent of a device: enrol, run, status, update, rollback",
    "why": "why a served model is slow, and why its requests are refused",
}
"""Each command is the module ``edgewright.cli.<name>`` with ``add(parser)`` and ``run(arguments) -> exit status``."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, like everybody else's."""

    def error(self, message: str) -> NoReturn:
        """Say it, point to the help of the command that was meant, and end with status 2."""
        self.exit(2, f"edgewright: {' '.join(message.split())}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Exit status 0 done, 1 failed, 2 unusable input, 3 nothing feasible, 130 interrupted.

    141: nobody read the output. Raises SystemExit as argparse does, after ``--help``, ``--version`` and wrong use.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments
    try:
        status = _run(arguments)
        _flush()
        return status
    except EdgewrightError as error:
        return _say(error, str(error), error.exit_status, debug)
    except KeyboardInterrupt as error:
        return _say(error, "interrupted; nothing half-written is left", 130, False)
    except BrokenPipeError:
        return 141
    except MemoryError as error:
        return _say(error, "out of memory; use a smaller model or fewer samples", 1, debug)
    except OSError as error:
        from edgewright.core.files import reason

        where = f"{error.filename}: " if isinstance(error.filename, str) else ""
        return _say(error, f"{where}{reason(error)}", 1, debug)
    except Exception as error:  # noqa: BLE001 - the outermost edge: one line for people, the traceback on request
        from edgewright.formats.libraries import lacking

        missing = lacking(error)
        if missing is not None:
            return _say(error, str(missing), missing.exit_status, debug)
        what = f"unexpected {type(error).__name__}: {str(error)[:200]}"
        return _say(error, f"{what} (run again with --debug and report it)", 1, debug)
    finally:
        _let_go()


def _run(arguments: list[str]) -> int:
    parser = Parser(
        prog="edgewright",
        description="From a trained model to a trusted decision at the edge.",
        epilog="edgewright COMMAND --help tells more of one command.",
    )
    parser.add_argument("-V", "--version", action="version", version=f"edgewright {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((a for a in arguments if not a.startswith("-")), None)
    for name, summary in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        command.add_argument("--debug", action="store_true", help="show the traceback of an error")
        if name == chosen:
            module = importlib.import_module(f"edgewright.cli.{name}")
            module.add(command)
            command.set_defaults(run=module.run)
    parsed, unknown = parser.parse_known_args(arguments)
    if unknown:
        commands.choices[parsed.command].error(f"unrecognized arguments: {' '.join(unknown)}")
    return int(parsed.run(parsed))


def _say(error: BaseException, message: str, status: int, debug: bool) -> int:
    try:
        if debug:
            traceback.print_exception(error)
        line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
        print(f"edgewright: {line}", file=sys.stderr)  # a file's own words must not reach the terminal as commands
    except BrokenPipeError:
        pass  # nobody reads: the status says it all
    return status


def _flush() -> None:
    """What was printed goes out now, so that a reader who has left is noticed here and not at the interpreter's end."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _let_go() -> None:
    """Where a reader has left, what is still buffered for him goes nowhere, and the interpreter ends quietly."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
