"""The one exception that means: the user can mend this."""


class UserError(Exception):
    """A mistake in the config, the data or the environment, told in one line.

    The line names the key or file, what was found, what is allowed and how to mend it; stages print it without a
    traceback and exit with 1.
    """
