"""What keeps a node from starting, each told in one sentence on standard error, with exit status 1."""


class StartError(Exception):
    """The node cannot start; the text is one clear sentence for the operator."""


class UsageError(StartError):
    """An option or a line of a config file is wrong; the text names the option, or the file and line."""


class DirectoryError(StartError):
    """The node's directory cannot be used, or another node has it."""


class LogError(StartError):
    """A log file cannot be opened."""


class DatabaseError(StartError):
    """The database cannot be opened or read."""


class NotSaved(Exception):
    """The database could not be written; the text is one sentence, which says what of it is so. The node goes on."""
