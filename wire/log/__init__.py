"""The log of a process: which lines it writes, how each looks, and how they leave it without waiting for a reader.
Called by `wire.control.status`, through which all processes log, and by the log writer.
"""
