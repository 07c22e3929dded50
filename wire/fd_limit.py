"""How many files this process may have open."""

import resource


def raise_fd_limit() -> int:
    """Raise the soft limit to the hard one. Returns how many fds may be open now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 30
