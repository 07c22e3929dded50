"""The registrations that a node begins with: those of the programs that its options name."""

from lightningd_py.config.options import Options
from lightningd_py.errors import UsageError
from lightningd_py.registrations.registrations import Registrations


def make_registrations(options: Options) -> Registrations:
    """Raises UsageError for services that contradict each other."""
    try:
        made = Registrations(options.service, options.take, options.copy, options.offer)
    except ValueError as error:
        raise UsageError(str(error)) from error
    made.base_features = options.features
    made.fixed_features = options.fixed_features
    return made
