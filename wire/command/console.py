"""How a command of ours begins, prints and complains.

What the terminal, the shell or the environment does to it ends in one sentence and an exit status, not in a traceback.
Imported before anything else is, so nothing heavy is imported here.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import FrameType

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What ends a command: Ctrl-C, and `kill`."""
MASTERS_SIGNALS = (*END_SIGNALS, signal.SIGHUP)
"""What a terminal or systemd sends to a whole node at once: the master decides, and its end is a daemon's."""


class OutputError(Exception):
    """Standard output could not be written; the text is one sentence."""


class NoPath(Exception):
    """A path that cannot be made absolute; the text is one sentence."""


def begin(ends: Mapping[signal.Signals, int]) -> None:
    """The first words of a command. Until it has its own mind about signals, they end it at once and quietly.

    `ends`: the exit status for each. Standard files that are closed become /dev/null: else the first fds of our own
    would get their numbers. What the terminal's encoding lacks is escaped.
    """
    for number, exit_status in ends.items():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end_at_once(exit_status))
    _open_standard_files()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # they are text files here


def _end_at_once(exit_status: int) -> Callable[[int, FrameType | None], None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        os._exit(exit_status)  # nothing has been made yet; an exception could come at any place, and be ignored there

    return end


def _open_standard_files() -> None:
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def leave_signals_to_master() -> None:
    """Of a daemon. It was started with these signals blocked, so that none could disturb it while it was loaded."""
    for number in MASTERS_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, MASTERS_SIGNALS)


@contextlib.contextmanager
def on_end(told: Callable[[], None]) -> Iterator[None]:
    """In here END_SIGNALS call `told`, at any place between two instructions; after it they do what they did."""
    before = {number: signal.signal(number, lambda *_: told()) for number in END_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hear_interrupts() -> None:
    """From here on Ctrl-C is a KeyboardInterrupt, as it is in Python if nothing is said."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def printing() -> Iterator[None]:
    """What is printed in here is written at its end. A reader that has seen enough (`| head`) ends the command with
    status 0. Raises OutputError for a full disk.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _print_no_more()
        raise SystemExit(0) from None
    except OSError as error:
        _print_no_more()
        raise OutputError(f"standard output cannot be written: {reason(error)}") from None


def _print_no_more() -> None:
    """Python would try once more at its end, and complain."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.close(null)


def complain(command: str, sentence: object) -> None:
    """One sentence on standard error, if that can be written."""
    with contextlib.suppress(OSError):
        print(f"{command}: {sentence}", file=sys.stderr, flush=True)


def reason(error: OSError) -> str:
    """The system's words for what went wrong; an error that Python made itself has its own."""
    return error.strerror or str(error)


def home(option: str) -> Path:
    """The user's home directory. Raises NoPath: `option` is what says it then."""
    try:
        return Path.home()
    except RuntimeError:
        raise NoPath(f"no home directory is known: HOME is not set. {option} says where to be") from None


def absolute(path: Path) -> Path:
    """The same from the root on. Raises NoPath if the working directory, which it depends on, has gone, and for what is
    no text: paths travel in messages.
    """
    try:
        found = path if path.is_absolute() else Path.cwd() / path
    except OSError as error:
        raise NoPath(f"{path} is no absolute path, and there is no working directory: {reason(error)}") from None
    if not is_text(str(found)):
        raise NoPath(f"{found} is not UTF-8 text")
    return found


def is_text(value: str) -> bool:
    """Not so if the command line or the environment is in another encoding than UTF-8."""
    return not any("\ud800" <= char <= "\udfff" for char in value)
