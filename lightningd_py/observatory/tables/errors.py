"""What goes wrong in the observatory and is no bug of ours."""


class ObservatoryError(Exception):
    """The text is one sentence for the user."""
