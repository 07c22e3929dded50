"""Where a process is that does not answer: on SHOW_STACK it writes the stacks of its threads to its log.

The handler is C code, so a loop without end in Python, or in a library, does not keep it from being run. A process that
was stopped (SIGSTOP) shows nothing.
"""

import faulthandler
import signal

SHOW_STACK = signal.SIGUSR1


def show_stack_when_asked() -> None:
    """From now on. Standard error must be there already."""
    faulthandler.register(SHOW_STACK, all_threads=True)
