"""Where gossipd keeps its files: in a folder of their own, so that it may open these and not the secret beside it.

CLN's tools look for `gossip_store` in the network's directory: there it is a symbolic link. A file that an earlier
version, or CLN, has left there is moved; a link to somewhere else is the operator's, and is followed.
"""

from pathlib import Path

from lightningd_py.errors import StartError

FOLDER, STORE = "gossipd", "gossip_store"
BESIDES = (".index", ".gone")
"""Endings of the files that belong to the store."""


def place_store(network_dir: Path) -> Path:
    """The store's path, in a directory that has nothing but what is gossipd's. Raises StartError."""
    link, folder = network_dir / STORE, network_dir / FOLDER
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if link.is_symlink():
            return _followed(link)
        if link.exists():
            _move(link, folder)
        link.symlink_to(Path(FOLDER) / STORE)
    except OSError as error:
        raise StartError(f"{link} cannot be put into {folder}: {error.strerror or error}") from error
    return folder / STORE


def _followed(link: Path) -> Path:
    """Where the link leads. A store that is not there is begun there, its directory is not. Raises StartError."""
    try:
        store = link.resolve()
    except RuntimeError:  # before Python 3.13
        store = link
    if store.is_symlink():
        raise StartError(f"{link} is a symbolic link that leads to itself")
    if not store.parent.is_dir():
        raise StartError(f"{link} is a symbolic link to nothing: {store.parent} is no directory")
    return store


def _move(store: Path, folder: Path) -> None:
    """The store last: if that is interrupted, the next start goes on."""
    for ending in BESIDES:
        beside = store.with_name(STORE + ending)
        if beside.exists():
            beside.replace(folder / beside.name)
    store.replace(folder / STORE)
