"""listconfigs and setconfig: CLN's methods, with its fields."""

from pathlib import Path
from typing import Any

from lightningd_py.config.config_file import Setting
from lightningd_py.config.option import Option
from lightningd_py.config.options import Options
from lightningd_py.config.setconfig import NotKept, is_on_command_line
from lightningd_py.config.table import OPTIONS, SHORTCUTS
from lightningd_py.daemons.settings import Settings
from lightningd_py.errors import UsageError
from lightningd_py.peers.own_node import OwnNode
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.params import INVALID_PARAMETERS, RpcError, boolean, optional, required, text

CONCEALED = frozenset({"bitcoin-rpcpassword", "tor-service-password", "dev-force-privkey"})
"""Their values are shown as dots: an RPC user may do much, but need not know these."""
_ONLY_PRINT = "print and exit"


class ConfigCommands:
    """The methods of one node."""

    def __init__(self, options: Options, own: OwnNode, settings: Settings) -> None:
        self._settings = settings
        self._options = options
        self._own = own

    def all(self) -> list[Command]:
        """For `Commands`."""
        one = optional("config", text, "the option of this name alone")
        return [
            Command("listconfigs", self.listconfigs, (one,), "Show the options in force, and where each was set."),
            Command(
                "setconfig",
                self.setconfig,
                (
                    required("config", text, "the option; listconfigs says which are dynamic"),
                    optional("val", option_value, "its value; an array where it may be repeated, none for none"),
                    optional("transient", boolean, "until the node ends only: no file is changed", False),
                ),
                "Change an option while the node runs.",
            ),
        ]

    async def listconfigs(self, config: str | None) -> dict[str, Any]:
        """`source` is `cmdline`, `default`, or FILE:LINE. A flag has `set`; an option `value_str`, `value_int` or
        `value_bool`, one that may be repeated `values_str` and `sources`. What has no value is left out.
        """
        if config is not None and all(option.name != config for option in OPTIONS):
            raise RpcError(INVALID_PARAMETERS, f"config: Unknown config option '{config}'")
        shown = {
            option.name: entry
            for option in OPTIONS
            if config in (None, option.name) and (entry := self._entry(option)) is not None
        }
        return {"configs": shown}

    async def setconfig(self, config: str, val: str | list[str] | None, transient: bool) -> dict[str, Any]:
        """CLN's fields. The value is checked as at the start, and kept in FILE.setconfig beside the config file, which
        includes it from then on; what was said before becomes a comment. An option of the command line counts more at
        the next start.
        """
        option = next((option for option in OPTIONS if option.name == config), None)
        if option is None:
            raise RpcError(INVALID_PARAMETERS, f"config: Unknown config option '{config}'")
        if not option.dynamic:
            raise RpcError(INVALID_PARAMETERS, f"config: Not a dynamic config option: '{config}'")
        try:
            await self._settings.change(config, _texts(option, val), keep=not transient)
        except (UsageError, NotKept) as error:
            raise RpcError(INVALID_PARAMETERS, str(error)) from error
        entry = self._entry(option) or {"values_str": [], "sources": []}
        return {"config": {"config": config} | entry}

    def _entry(self, option: Option) -> dict[str, Any] | None:
        entry = self._value_and_source(option)
        return entry | {"dynamic": True} if entry is not None and option.dynamic else entry

    def _value_and_source(self, option: Option) -> dict[str, Any] | None:
        if option.group == _ONLY_PRINT or option.name in SHORTCUTS:
            return None
        settings = [setting for setting in self._options.settings if setting.name == option.name]
        if option.parse is None:
            return {"set": bool(settings), "source": _source(settings)}
        if option.one_text:
            text_ = ",".join(getattr(self._options, option.field))
            return {"value_str": text_, "source": _source(settings)}
        if option.multiple:
            values = [_text(option, setting.value or "") for setting in settings] or self._default_values(option)
            sources = [_source([setting]) for setting in settings] or ["default"] * len(values)
            return {"values_str": values, "sources": sources} if values else None
        value = self._value(option, settings)
        return None if value is None else value | {"source": _source(settings)}

    def _default_values(self, option: Option) -> list[str]:
        return [str(value) for value in getattr(self._options, option.field)]

    def _value(self, option: Option, settings: list[Setting]) -> dict[str, Any] | None:
        value = {"alias": self._own.alias, "rgb": self._own.color.hex()}.get(option.name)
        if value is None:
            value = getattr(self._options, option.field)
        if isinstance(value, bool):
            return {"value_bool": value}
        if isinstance(value, int) and option.name != "rpc-file-mode":
            return {"value_int": value}
        if isinstance(value, Path):
            return {"value_str": str(value)}
        if settings:
            return {"value_str": _text(option, settings[-1].value or "")}
        if value is None:
            return None
        return {"value_str": f"{value:04o}" if isinstance(value, int) else str(value)}


def option_value(value: Any) -> str | list[str]:
    """A string, number or boolean, or an array of strings."""
    return [text(each) for each in value] if isinstance(value, list) else text(value)


def _texts(option: Option, value: str | list[str] | None) -> list[str]:
    """The settings that this value means. Raises RpcError for the wrong kind."""
    repeated = option.multiple and not option.one_text
    if value is None and not repeated:
        raise RpcError(INVALID_PARAMETERS, f"val: {option.name} needs a value")
    if isinstance(value, str if repeated else list):
        kind = "a multi option: val must be an array" if repeated else "not a multi option: val must not be an array"
        raise RpcError(INVALID_PARAMETERS, f"{option.name} is {kind}")
    found = value if isinstance(value, list) else [] if value is None else [value]
    if any("\n" in each or "\r" in each or "\0" in each for each in found):
        raise RpcError(INVALID_PARAMETERS, f"val: {option.name} is one line")
    return found


def _text(option: Option, value: str) -> str:
    if option.name in CONCEALED:
        return "..."
    return value if option.trailing_spaces else value.rstrip()


def _source(settings: list[Setting]) -> str:
    """Of the last one, which counts."""
    if not settings:
        return "default"
    last = settings[-1]
    return "cmdline" if is_on_command_line(last) else last.where.rpartition(": ")[0]
