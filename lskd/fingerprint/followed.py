"""Which modules are followed: those of the package whose code may change a result."""

PACKAGE = "lskd"

# Not followed, with all below them, since they change no result: messages, records, refusals, what only makes a job
# faster (recorded with each result), and what identifies a data set (what it computes stands in the spec of its job).
UNFOLLOWED = tuple(
    f"{PACKAGE}.{name}."
    for name in (
        *("errors", "fingerprint", "study.options", "study.runtime", "data.content"),
        *("jobs.progress", "jobs.provenance", "training.tracking"),
    )
)


# Data files that count nowhere: a paper's numbers are in the spec of the figures that show them, by their digest.
SPECIFIED = f"{PACKAGE}/papers/*.yaml"


def is_own(module: str) -> bool:
    """Whether a module is of the package and followed."""
    return module.partition(".")[0] == PACKAGE and not is_unfollowed(module)


def is_unfollowed(module: str) -> bool:
    """Whether a module is one of those that are not followed."""
    return f"{module}.".startswith(UNFOLLOWED)
