"""Systems of an experiment that are made of other systems of it: what they may name, and in which order cells go."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

Triple = tuple[str, str, int]
"""System, corpus, seed: a cell."""
FEWEST = 2


def member_problems(
    members: Mapping[str, Sequence[str]], takers: Collection[str], folders: Collection[str], triples: Sequence[Triple]
) -> Iterator[str]:
    """What is wrong with the members that systems name; names that there are not are reported elsewhere.

    Args:
        members: of every system of the experiment.
        takers: systems that can be made of others.
        folders: systems whose settings name folders as members.
        triples: all cells.
    """
    cells = set(triples)
    for system, named in members.items():
        path = f"systems.{system}.members"
        if system not in takers:
            if named:
                yield f"{path}: only systems that are made of others (mixed) have members; leave it out."
            continue
        if system in folders:
            if named:
                yield f"{path}: the settings name folders as members; leave one of the two out."
            continue
        if len(named) < FEWEST:
            yield f"{path}: {len(named)} given; name two or more systems of this experiment."
        if len(set(named)) < len(named):
            yield f"{path}: a system is duplicated."
        if system in _made_of(system, members):
            yield f"{path}: {system!r} would be a member of itself; take it out."
        for number, member in enumerate(named):
            missing = [
                f"{corpus} with seed {seed}"
                for own, corpus, seed in triples
                if own == system and (member, corpus, seed) not in cells
            ]
            if missing and member in members:
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                yield (
                    f"{path}.{number}: {member!r} is not run on {missing[0]}{more}, and {system!r} is; give both the "
                    "same seeds, or exclude the cell of both."
                )


def members_first(triples: Sequence[Triple], members: Mapping[str, Sequence[str]]) -> list[Triple]:
    """The cells, each behind those that it is made of; else in their order.

    >>> members_first([("mixed", "c", 1), ("a", "c", 1), ("b", "c", 1)], {"mixed": ("a", "b")})
    [('a', 'c', 1), ('b', 'c', 1), ('mixed', 'c', 1)]
    """
    found: dict[Triple, None] = {}

    def add(cell: Triple) -> None:
        system, corpus, seed = cell
        for member in members.get(system, ()):
            add((member, corpus, seed))
        found.setdefault(cell)

    for cell in triples:
        add(cell)
    return list(found)


def _made_of(system: str, members: Mapping[str, Sequence[str]]) -> set[str]:
    """All systems that a system is made of, whatever lies in between."""
    found: set[str] = set()
    left = list(members.get(system, ()))
    while left:
        member = left.pop()
        if member not in found:
            found.add(member)
            left += members.get(member, ())
    return found
