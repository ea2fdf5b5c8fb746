"""The one error that a user can cause."""


class BadInput(Exception):
    """Something the user gave is wrong.

    The message is one sentence that names the file, field, line or value, what was expected and what to do. The
    command line prints it without a traceback and exits with 2.
    """
