"""listconfigs: CLN's method, with its fields. Nothing can be changed while the node runs."""

from pathlib import Path
from typing import Any

from lightningd_py.config.config_file import Origin, Setting
from lightningd_py.config.options import Options
from lightningd_py.config.table import OPTIONS, SHORTCUTS, Option
from lightningd_py.peers.own_node import OwnNode
from lightningd_py.rpc.jsonrpc import Command
from lightningd_py.rpc.params import INVALID_PARAMETERS, RpcError, optional, text

CONCEALED = frozenset({"bitcoin-rpcpassword", "tor-service-password", "dev-force-privkey"})
"""Their values are shown as dots: an RPC user may do much, but need not know these."""
_ONLY_PRINT = "print and exit"


class ConfigCommands:
    """The method of one node."""

    def __init__(self, options: Options, own: OwnNode) -> None:
        self._options = options
        self._own = own

    def all(self) -> list[Command]:
        """For `Commands`."""
        one = optional("config", text, "the option of this name alone")
        return [Command("listconfigs", self.listconfigs, (one,), "Show the options in force, and where each was set.")]

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

    def _entry(self, option: Option) -> dict[str, Any] | None:
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


def _text(option: Option, value: str) -> str:
    if option.name in CONCEALED:
        return "..."
    return value if option.trailing_spaces else value.rstrip()


def _source(settings: list[Setting]) -> str:
    """Of the last one, which counts."""
    if not settings:
        return "default"
    last = settings[-1]
    return "cmdline" if last.origin is Origin.COMMAND_LINE else last.where.rpartition(": ")[0]
