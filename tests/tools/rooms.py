"""The rooms of the packages, out of the code's own imports: `python tests/tools/rooms.py` prints sizes and circles.

A sub-folder is a room; a file at a package's top is a room of its own. An import counts wherever it stands: under
TYPE_CHECKING and within functions, too, for a type is a tie.
"""

import ast
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("wire", "connectd", "gossipd", "lightningd_py")

ORDER: dict[str, tuple[str, ...]] = {
    "wire": (
        "wire.start",
        "*",
        "wire.onion",
        "wire.gossip_v2",
        "wire.command",
        "wire.log",
        "wire.control",
        "wire.metrics",
        "wire.net.sockman",
        "wire.net",
        "wire.bus",
        "wire.program",
    ),
    "connectd": (
        "connectd.websocketd",
        "connectd.connectiond.lines",
        "connectd.connectiond",
        "*",
        "connectd.reach",
        "connectd.doors",
        "connectd.arrivals",
        "connectd.hand_over",
        "connectd.parts",
        "connectd.moving",
        "connectd.connectd",
        "connectd.__main__",
        "connectd.connectiond.alone",
    ),
    "gossipd": (
        "gossipd.verdict",
        "gossipd.publish",
        "gossipd.feed",
        "gossipd.store",
        "gossipd.map",
        "gossipd.gossmap",
        "gossipd.own_node",
        "gossipd.ingest",
        "gossipd.v2",
        "gossipd.chain",
        "gossipd.local_channels",
        "gossipd.serve",
        "gossipd.ask",
        "gossipd.peers",
        "gossipd.ticks",
        "gossipd.hearing",
        "gossipd.gossipd",
        "gossipd.report",
        "gossipd.metrics",
        "gossipd.moving",
        "gossipd.requests",
        "gossipd.control",
        "gossipd.__main__",
    ),
    "lightningd_py": (
        "*",
        "lightningd_py.terminal",
        "lightningd_py.http",
        "lightningd_py.plots",
        "lightningd_py.hsm",
        "lightningd_py.tools",
        "lightningd_py.export",
        "lightningd_py.config",
        "lightningd_py.registrations",
        "lightningd_py.owners",
        "lightningd_py.storage",
        "lightningd_py.chain",
        "lightningd_py.peers",
        "lightningd_py.news",
        "lightningd_py.listingd",
        "lightningd_py.oniond",
        "lightningd_py.onions",
        "lightningd_py.daemons",
        "lightningd_py.rpc",
        "lightningd_py.rpc.methods",
        "lightningd_py.recording",
        "lightningd_py.metrics",
        "lightningd_py.bus",
        "lightningd_py.probe",
        "lightningd_py.top",
        "lightningd_py.observatory.tables",
        "lightningd_py.observatory.metrics",
        "lightningd_py.observatory.record",
        "lightningd_py.observatory.rgs",
        "lightningd_py.observatory.jetstream",
        "lightningd_py.observatory.live",
        "lightningd_py.observatory.exchange",
        "lightningd_py.observatory.history",
        "lightningd_py.observatory.replay",
        "lightningd_py.observatory.web",
        "lightningd_py.observatory",
        "lightningd_py.cli",
        "lightningd_py.node_left",
        "lightningd_py.core",
        "lightningd_py.parts",
        "lightningd_py.leaving",
        "lightningd_py.node",
        "lightningd_py.master",
        "lightningd_py.__main__",
    ),
}
"""The rooms of each package, ground first: a room imports none that stands behind it. `*`: the top's other files."""

Edges = Mapping[str, set[str]]
"""Name -> names that it imports."""


def modules(package: str, root: Path = ROOT) -> dict[str, Path]:
    """Dotted name -> file, of all that a package has; a folder's `__init__.py` has the folder's name.

    The examples are none of it: they are programs for users.
    """
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        if path.parent.name == "examples":
            continue
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room_of(module: str, path: Path) -> str:
    """The room that a module is in: its folder, but for a package's top, where it is the module itself."""
    if path.name == "__init__.py" or module.count(".") == 1:
        return module
    return module.rpartition(".")[0]


def place_of(room: str) -> int:
    """How far from its package's ground a room stands; the package's own `__init__.py` is beneath all."""
    order = ORDER[room.split(".")[0]]
    return -1 if "." not in room else order.index(room if room in order else "*")


def imports(known: Mapping[str, Path]) -> dict[str, set[str]]:
    """Module -> those of the known modules that it imports."""
    return {module: set(_imported(module, path, known)) for module, path in known.items()}


def _imported(module: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            full = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else node.module for name in full]
        else:
            continue
        yield from (name for name in names if name in known and name != module)


def imports_of_rooms(known: Mapping[str, Path]) -> dict[str, set[str]]:
    """Room -> other rooms that it imports."""
    edges: dict[str, set[str]] = defaultdict(set)
    for module, imported in imports(known).items():
        room = room_of(module, known[module])
        edges[room] |= {room_of(name, known[name]) for name in imported} - {room}
    return dict(edges)


def circles(edges: Edges) -> set[frozenset[str]]:
    """The sets of names each of which reaches all others of its set."""
    reached = {name: _reach(name, edges) for name in edges}
    alike: dict[str, frozenset[str]] = {
        name: frozenset(other for other in reached[name] if name in reached.get(other, ())) for name in edges
    }
    return {circle for circle in alike.values() if len(circle) > 1}


def _reach(name: str, edges: Edges) -> set[str]:
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        for other in edges.get(waiting.pop(), set()) - reached:
            reached.add(other)
            waiting.append(other)
    return reached


def sizes(known: Mapping[str, Path]) -> Counter[str]:
    """Folder -> how many files it has, its `__init__.py` apart."""
    return Counter(module.rpartition(".")[0] for module, path in known.items() if path.name != "__init__.py")


def _report(package: str) -> bool:
    known = modules(package)
    lines = [path.read_text().count("\n") for path in known.values() if path.name != "__init__.py"]
    print(f"{package}: {len(lines)} files, median {statistics.median(lines):.0f} lines a file")
    for folder, count in sorted(sizes(known).items()):
        print(f"    {folder:32} {count:3} files")
    of_files, of_rooms = circles(imports(known)), circles(imports_of_rooms(known))
    for kind, found in (("files", of_files), ("rooms", of_rooms)):
        for circle in sorted(map(sorted, found)):
            print(f"    circle of {kind}: {', '.join(circle)}")
    if not of_files | of_rooms:
        print("    no circles")
    return bool(of_files | of_rooms)


def main() -> int:
    """One paragraph a package; the exit status is 1 if there is a circle."""
    found = [_report(package) for package in PACKAGES]
    return int(any(found))


if __name__ == "__main__":
    sys.exit(main())
