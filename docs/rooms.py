"""The rooms: a drawing of the arrows between them, as the imports have them, and a table of what their faces say."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import grimp
from markup import code, table

ROOT = Path(__file__).parents[1]
HALLS = ("rushes", "webhooks", "jobs", "storage")
APART = ("sandbox",)  # imports none of them and is imported by none
# Without a box: modules above all rooms (entry points) or below them (settings, broker, errors).
LOOSE = {"rushes", "jobs", "storage.errors"}

Arrows = dict[str, set[str]]


def drawing() -> str:
    """A Mermaid block with those arrows that do not follow from others. Raises ValueError for a ring of rooms."""
    arrows = _arrows()
    drawn = sorted((a, b) for a in arrows for b in needed(a, arrows))
    said = "; ".join(f"{a} imports {' and '.join(b for source, b in drawn if source == a)}" for a in _ordered(arrows))
    lines = ["```mermaid", "flowchart TB", "    accTitle: The rooms and what they import", f"    accDescr: {said}"]
    for hall in HALLS:
        rooms = [box for box in _boxes() if box.partition(".")[0] == hall]
        if rooms == [hall]:
            lines.append(f"    {hall}[{hall}]")
            continue
        lines.append(f"    subgraph {hall}_[{hall}]")
        lines += [f"        {_id(room)}[{_name(room)}]" for room in rooms]
        lines.append("    end")
    lines += [f"    {_id(a)} --> {_id(b)}" for a, b in drawn]
    return "\n".join([*lines, "```"])


def faces() -> str:
    """Every package, and what its face says."""
    rows = [[code(f"{package.replace('.', '/')}/"), *_face(package)] for package in _packages()]
    return table(["room", "what belongs here", "what does not"], rows)


def needed(box: str, arrows: Arrows) -> set[str]:
    """What a box imports that nothing else that it imports leads to."""
    targets = arrows.get(box, set())
    beyond = {further for target in targets for further in reached(target, arrows)}
    if box in beyond:
        raise ValueError(f"{box} imports what imports {box}: rooms have one direction")
    return targets - beyond


def reached(box: str, arrows: Arrows) -> set[str]:
    """All that an arrow of a box leads to, and what those of these lead to."""
    found: set[str] = set()
    waiting = [box]
    while waiting:
        further = arrows.get(waiting.pop(), set()) - found
        found |= further
        waiting += further
    return found


def _packages() -> list[str]:
    files = [file for hall in (*HALLS, *APART) for file in sorted((ROOT / hall).rglob("__init__.py"))]
    return [".".join(file.parent.relative_to(ROOT).parts) for file in files]


def _boxes() -> list[str]:
    """What is drawn: rooms with their inner rooms; a hall that is one room, or has modules beside its rooms."""
    return [each for each in _packages() if each.count(".") < 2 and each not in LOOSE and each not in APART]


def _arrows() -> Arrows:
    graph = grimp.build_graph(*HALLS, cache_dir=None)
    boxes = _boxes()
    arrows: Arrows = defaultdict(set)
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            a, b = _box(module, boxes), _box(imported, boxes)
            if a and b and a != b:
                arrows[a].add(b)
    return arrows


def _box(module: str, boxes: Iterable[str]) -> str | None:
    """The innermost box that a module stands in."""
    if module in LOOSE:
        return None
    return max((box for box in boxes if f"{module}.".startswith(f"{box}.")), key=len, default=None)


def _ordered(arrows: Arrows) -> list[str]:
    return [box for box in _boxes() if box in arrows]


def _name(box: str) -> str:
    """A room's own name; the modules' names where they stand beside the rooms of their hall."""
    if "." in box:
        return box.rpartition(".")[2]
    modules = [f"{box}.{file.stem}" for file in sorted((ROOT / box).glob("[!_]*.py"))]
    return ", ".join(module.rpartition(".")[2] for module in modules if module not in LOOSE)


def _id(box: str) -> str:
    return box.replace(".", "_")


def _face(package: str) -> list[str]:
    """What a docstring says in its two paragraphs, each on one line."""
    said = ast.get_docstring(ast.parse((ROOT / Path(*package.split(".")) / "__init__.py").read_text("utf-8"))) or ""
    belongs, _, others = " ".join(said.split("\n")).partition("  Not here: ")
    return [belongs, f"{others[:1].upper()}{others[1:]}"]
