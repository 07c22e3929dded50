"""The command line, read into settings as a config file is; what the options mean is in `options.py`."""

import argparse
import difflib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

from lightningd_py.config.cln_options import FLAGS, INSTEAD, RENAMED, UNUSED
from lightningd_py.config.config_file import Origin, Setting
from lightningd_py.config.table import OPTIONS, SHORTCUTS
from lightningd_py.errors import UsageError
from wire.command.parser import CommandParser

_NAMES = sorted({option.name for option in OPTIONS} | UNUSED | set(RENAMED))


class _Parser(CommandParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message.removeprefix("argument "))


class _Collect(argparse.Action):
    """Keeps the options in their order, as settings."""

    def __call__(self, parser: Any, namespace: Any, value: Any, option_string: str | None = None) -> None:
        setting = Setting(self.dest, None if self.nargs == 0 else value, f"--{self.dest}", Origin.COMMAND_LINE)
        namespace.settings.append(setting)


def _parser() -> _Parser:
    parser = _Parser(
        prog="lightningd-py",
        usage="lightningd-py [OPTIONS]",
        description="The peer-to-peer half of a Lightning node. What stands here as --KEY=VALUE can also stand as "
        "KEY=VALUE in <lightning-dir>/config and <lightning-dir>/<network>/config.",
        epilog="CLN's options for what this node has not (wallet, channels, payments, plugins) are accepted and have "
        "no effect: a line of the log names them.",
        add_help=False,
        allow_abbrev=False,
    )
    groups: dict[str, Any] = {}
    for option in OPTIONS:
        group = groups.setdefault(option.group, None) or parser.add_argument_group(option.group)
        groups[option.group] = group
        takes: dict[str, Any] = {"metavar": option.metavar} if option.parse else {"nargs": 0}
        names = [*([f"-{option.short}"] if option.short else []), f"--{option.name}"]
        group.add_argument(*names, dest=option.name, action=_Collect, help=option.help, **takes)
    for name in (UNUSED | set(RENAMED)) - {option.name for option in OPTIONS}:
        takes = {"nargs": 0} if name in FLAGS or name in RENAMED else {}
        parser.add_argument(f"--{name}", dest=name, action=_Collect, help=argparse.SUPPRESS, **takes)
    return parser


def help_text() -> str:
    """What --help prints."""
    return _parser().format_help()


def read_command_line(argv: Sequence[str]) -> list[Setting]:
    """The settings, in order. Raises UsageError for an option that there is not, and for a value that is missing."""
    namespace = argparse.Namespace(settings=[])
    _, unknown = _parser().parse_known_args(list(argv), namespace)
    if unknown:
        name = unknown[0].removeprefix("--").partition("=")[0]
        raise UsageError(f"{unknown[0]}: {unknown_option(name) if unknown[0].startswith('--') else 'unknown option'}")
    return spelled_out(namespace.settings)


def unknown_option(name: str) -> str:
    """What is said of a name that no option has: which may have been meant."""
    if name in INSTEAD:
        return INSTEAD[name]
    near = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.75)
    return f"unknown option, did you mean {near[0]}?" if near else "unknown option"


def spelled_out(settings: Iterable[Setting]) -> list[Setting]:
    """`--regtest` is `--network=regtest`, and an older name stands for its option."""
    return [_spelled_out(setting) for setting in settings]


def _spelled_out(setting: Setting) -> Setting:
    if setting.name in SHORTCUTS and setting.value is None:
        return replace(setting, name="network", value=SHORTCUTS[setting.name])
    return replace(setting, name=RENAMED.get(setting.name, setting.name))
