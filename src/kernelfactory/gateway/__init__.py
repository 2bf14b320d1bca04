"""How caged agents reach their models and no more: a door for each attempt, which adds keys that the cage never sees
and lets through the hosts that are named. Refuses to know agents, and to keep what passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Route:
    """A model's API as a caged agent reaches it: requests below /`name` of its door go on to `upstream` (a URL), with
    `headers` (the key) put in place of what the request has of these names, and `drop` taken away. `asks`: a pattern of
    what may be asked for with it, as METHOD /path below the upstream; "": anything. `plain`: the key may go to an
    http:// upstream on another machine in the clear."""

    name: str
    upstream: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    drop: tuple[str, ...] = ("authorization", "x-api-key", "x-goog-api-key")
    asks: str = ""
    plain: bool = False
