"""The command line: which subcommands there are, what every one of them accepts, and how a failure becomes one line.

Nothing heavy is imported here: a subcommand's file is imported when it is named, and what computes when it runs.
"""

from __future__ import annotations

import functools
import importlib
import os
import re
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from inspect import Parameter  # by name: the subcommand `inspect` takes the module's place in this package
from inspect import signature as signature_of
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from surgaug.cli import defaults, help, screen
from surgaug.errors import Interrupted, SurgaugError, UsageError
from surgaug.runtime import interrupt
from surgaug.runtime.options import did_you_mean
from surgaug.version import __version__

COMMANDS = {
    "init": "Write a surgaug.toml from what lies in this folder.",
    "train": "Learn to synthesize images from label maps.",
    "augment-masks": "Make new label maps from real ones.",
    "judge": "Train a judge of which labels of synthetic images can be trusted.",
    "synthesize": "Synthesize images from label maps: a folder of paired images and labels.",
    "export": "Write real and synthetic images as one training set.",
    "inspect": "Say what a data set, a run or a file holds, and what is wrong with it.",
    "browse": "Look at thousands of pairs: a page that opens in any browser.",
    "score": "Say how close synthetic images come to real ones.",
    "demo": "Run the whole pipeline on rendered phantom scenes; needs no data.",
}
_FOLDERS = ("--masks", "--data", "--real")  # where a command looks first
BROKEN_PIPE = 141  # what a shell reports for a program that SIGPIPE ended


def main() -> None:
    """Entry point of the `surgaug` command and of `python -m surgaug`.

    Once the command's last word is said, Ctrl-C and SIGTERM are ignored: the interpreter is on its way out and nothing
    is left to save, so that a second one could only print a traceback.
    """
    interrupt.heed()
    screen.open_streams()
    argv = sys.argv[1:]
    try:
        code = run(argv)
        interrupt.ignore()
    except KeyboardInterrupt:  # a second one, while the first was being answered
        interrupt.ignore()
        code = _interrupted(argv)
    # CPython notes a KeyboardInterrupt inside an `exec` of text (importing a dataclass does that), caught or not, and
    # then ends by SIGINT whatever the exit code is. Another `exec` takes the note back.
    exec("pass")
    sys.exit(code)


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code: 0 done, 1 failed, 2 wrong usage, 3 gate not met, 130 interrupted.

    Errors go to stderr as one line; only `--debug` adds a traceback.
    """
    group = typer.main.get_command(root)
    if "_SURGAUG_COMPLETE" in os.environ:
        group(prog_name="surgaug")
    screen.any_encoding()
    try:
        with group.make_context("surgaug", list(argv)) as context:
            group.invoke(context)
        sys.stdout.flush()
    except typer.Exit as stop:
        return stop.exit_code
    except BrokenPipeError:
        screen.drop_results()
        return BROKEN_PIPE
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(argv)
    except SurgaugError as failure:
        screen.error(str(failure), label="" if isinstance(failure, Interrupted) else "error: ")
        return failure.exit_code
    except Exception as failure:
        return _explain(failure)
    return 0


def _interrupted(argv: Sequence[str]) -> int:
    screen.error(f"interrupted; to go on, type: {shlex.join(['surgaug', *argv])}", label="")
    return 130


def _explain(failure: Exception) -> int:
    """One line for a failure that is not one of our own, and its exit code."""
    if hasattr(failure, "format_message"):  # typer's own usage errors have no public base class
        if type(failure).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{failure.format_message()}\n")
            return 2
        screen.error(_usage_message(failure))
        return 2
    if cure := _opencv_cure(failure):
        screen.error(cure)
        return 1
    if isinstance(failure, OSError) and failure.strerror:
        place = "" if failure.filename is None else f"{os.fsdecode(failure.filename)}: "
        screen.error(place + failure.strerror)
        return 1
    text = " ".join(str(failure).split())
    screen.error(f"{type(failure).__name__}: {text}" + ("" if screen.debug() else " (--debug shows where)"))
    return 1


def _opencv_cure(failure: Exception) -> str:
    """What to do where OpenCV cannot be imported, or only in part; empty for other failures.

    Its packages share one folder, so that removing one takes files from the other; one of them needs a screen's
    libraries.
    """
    text = str(failure)
    parts = isinstance(failure, AttributeError) and "module 'cv2' has no attribute" in text
    libraries = ("cv2", "libGL.so", "libgthread", "libSM.so", "libXext")
    if not parts and not (isinstance(failure, ImportError) and any(name in text for name in libraries)):
        return ""
    return (
        f"OpenCV cannot be used ({text}); type: pip uninstall -y opencv-python opencv-contrib-python "
        "opencv-python-headless && pip install opencv-python-headless"
    )


def _usage_message(failure: Any) -> str:
    """Typer's message with the nearest known name, where the value came from, and where to look."""
    message = failure.format_message().rstrip(".")
    context = getattr(failure, "ctx", None)
    option = getattr(failure, "param", None)
    value, *choices = re.findall(r"'([^']*)'", message.split(": ", 1)[-1]) or [""]
    message = message.split(" (Possible options:")[0]
    if hasattr(failure.__cause__, "errors"):  # pydantic's: it knows the value, and typer leaves it out
        message += f" (given: {failure.__cause__.errors()[0].get('input')})"
    possible = getattr(failure, "possibilities", None)
    message += f"; did you mean {possible[0]}?" if possible else did_you_mean(value, choices)
    if context is None:
        return message
    if message.startswith("Got unexpected extra argument"):
        message += _folder_option(context.command.params)
    if option is not None and getattr(context.get_parameter_source(option.name), "name", "") == "DEFAULT_MAP":
        message = f"{defaults.FILE_NAME}: [{context.info_name}]: {message}"
    return f"{message} (see '{context.command_path} --help')"


def _folder_option(params: Sequence[Any]) -> str:
    """How to name a folder that stands alone on the line, of a command that names it by an option."""
    flag = next((flag for param in params for flag in param.opts if flag in _FOLDERS), "")
    return f"; a folder is named by {flag} DIR" if flag else ""


class _Command(TyperCommand):
    """A subcommand with our own help page."""

    def page(self, ctx: Any) -> help.Page:
        required = [help.usage(parameter, ctx) for parameter in self.params if parameter.required]
        paragraphs, examples = help.split(self.help or "")
        return help.Page(
            " ".join([ctx.command_path, *required, "[OPTIONS]"]),
            paragraphs,
            help.panels(self.get_params(ctx), ctx, last=_EVERYWHERE),
            examples,
        )

    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(screen.help_page(self.page(ctx)))


class _Group(TyperGroup):
    """Imports a subcommand's file only when that subcommand is named."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            if ctx.resilient_parsing or cmd_name.startswith("-"):
                return None
            ctx.fail(f"no such command: {cmd_name}{did_you_mean(cmd_name, COMMANDS)}")
        name = cmd_name.replace("-", "_")
        function = getattr(importlib.import_module(f"surgaug.cli.{name}"), name)
        single = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
        single.command(cmd_name, cls=_Command, short_help=COMMANDS[cmd_name])(_with_common_options(function))
        return typer.main.get_command(single)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        paragraphs, examples = help.split(self.help or "")
        panels = [("Commands", list(COMMANDS.items())), *help.panels(self.get_params(ctx), ctx, last=_EVERYWHERE)]
        page = help.Page("surgaug COMMAND [OPTIONS]", paragraphs, panels, examples, self.epilog or "")
        formatter.write(screen.help_page(page))


_EVERYWHERE = "Everywhere"
_Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Only results and errors.", rich_help_panel=_EVERYWHERE)]
_Debug = Annotated[bool, typer.Option("--debug", help="Show where a failure happened.", rich_help_panel=_EVERYWHERE)]

root = typer.Typer(
    cls=_Group,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        screen.result(f"surgaug {__version__}")
        raise typer.Exit


@root.callback(
    epilog="Exit codes: 0 done, 1 failed, 2 wrong usage, 3 quality gate not met, 130 interrupted. "
    f"A {defaults.FILE_NAME} in the working folder supplies any flag."
)
def _before_any_command(
    context: typer.Context,
    quiet: _Quiet = False,
    debug: _Debug = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Annotated surgical images by diffusion: label maps in, paired images and labels out.

    Examples:
    surgaug demo
    surgaug train --data frames/train --size 64x112 --minutes 60
    surgaug synthesize --masks frames/train --n 5000
    """
    screen.configure(quiet=quiet, debug=debug)
    if not debug and not sys.warnoptions:
        warnings.simplefilter("ignore")
    group: Any = context.command
    name = str(context.invoked_subcommand)
    command = group.get_command(context, name)
    context.default_map = {name: defaults.load(name, command.params, list(COMMANDS))}


def _with_common_options(function: Callable[..., None]) -> Callable[..., None]:
    """`function` with `--quiet` and `--debug`, so that they may also stand after the subcommand."""

    @functools.wraps(function)
    def command(*, quiet: bool, debug: bool, **options: Any) -> None:
        screen.configure(quiet=quiet or screen.quiet(), debug=debug or screen.debug())
        out = str(options.get("out"))
        if out != "".join(out.splitlines()):
            raise UsageError(f"--out {out!r}: has line ends, and no list of paths could hold it; give another name")
        function(**options)

    signature = signature_of(function, eval_str=True)
    common = [
        Parameter("quiet", Parameter.KEYWORD_ONLY, default=False, annotation=_Quiet),
        Parameter("debug", Parameter.KEYWORD_ONLY, default=False, annotation=_Debug),
    ]
    command.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *common])  # type: ignore[attr-defined]
    return command
