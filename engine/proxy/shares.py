"""Hosts that several apps share, as HAProxy is told of them. Its map has for each

host/0 … host/99   a place, by the lot that was drawn for the request
host=key           a place, by what names its app to visitors who stay
host@place         what names its app to those who are to stay from now on
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from engine.balancing import COOKIE, LOTS, Member, drawn, lots, rank
from engine.proxy.files import Folder, read_map, write
from engine.spec import Route, Stake

MARKS = re.compile("[/=@]")  # behind the host in a key
Entries = dict[str, str]
Hosts = dict[str, dict[str, dict[str, Any]]]  # host -> place -> its stake


def stakes_of(route: Route, not_shared: Iterable[str] = ()) -> list[dict[str, Any]]:
    """What a place says of its app's stakes."""
    taken = set(not_shared)
    return [
        {
            "host": each.host,
            "weight": each.weight,
            "key": each.key,
            "sticky": each.sticky,
            "rank": rank(route),
        }
        for each in route.stakes
        if each.host not in taken
    ]


def stakes_in(kept: Iterable[Mapping[str, Any]]) -> tuple[Stake, ...]:
    """The stakes that a place says of."""
    return tuple(Stake(each["host"], each["weight"], each["key"], each["sticky"]) for each in kept)


def change(folder: Folder, place: str, stakes: Iterable[dict[str, Any]]) -> tuple[Entries, Entries]:
    """Note the stakes of a place. Returns what the map has of the hosts that they are in, and what it should have."""
    path = folder.sharing
    hosts: Hosts = json.loads(path.read_text()) if path.exists() else {}
    after = {stake["host"]: stake for stake in stakes}
    touched = {host for host, of in hosts.items() if place in of} | after.keys()
    if not touched:
        return {}, {}
    for host in touched:
        of = hosts.setdefault(host, {})
        of.pop(place, None)
        if host in after:
            of[place] = after[host]
        if not of:
            del hosts[host]
    write(path, json.dumps(hosts))
    known = read_map(folder.shares).items()
    return {key: value for key, value in known if MARKS.split(key)[0] in touched}, _entries(hosts, touched)


def _entries(hosts: Hosts, names: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for host in names:
        members = {
            place: Member(Stake(host, each["weight"], each["key"], each["sticky"]), each["rank"])
            for place, each in hosts.get(host, {}).items()
        }
        chosen = drawn(members)
        weights = {place: stake.weight for place, stake in chosen.items()}
        found |= {f"{host}/{number}": place for number, place in enumerate(lots(weights))}
        for place, stake in chosen.items():
            if stake.sticky:
                found |= {f"{host}={stake.key}": place, f"{host}@{place}": stake.key}
    return found


def rules(path: Path) -> list[str]:
    """Whose request it is, where no app has the host alone: `txn.slot` names the place, `txn.pin` the app to who is to
    stay with it."""
    host = "var(txn.host)"
    return [
        f"http-request set-var(txn.lot) rand({LOTS}) if !{{ var(txn.slot) -m found }}",
        f"http-request set-var(txn.slot) {host},concat(/,txn.lot),map_str({path}) if {{ var(txn.lot) -m found }}",
        f"http-request set-var(txn.stays) req.cook({COOKIE}) if {{ var(txn.lot) -m found }}",
        f"http-request set-var(txn.slot) {host},concat(=,txn.stays),map_str({path}) if {{ var(txn.stays) -m found }}",
        f"http-request set-var(txn.pin) {host},concat(@,txn.slot),map_str({path}) if {{ var(txn.lot) -m found }}",
        "http-request unset-var(txn.pin) if { var(txn.pin) -m found } { var(txn.stays),strcmp(txn.pin) eq 0 }",
    ]


def pinning() -> list[str]:
    """What is said to visitors who are to stay."""
    given = f'"{COOKIE}=%[var(txn.pin)]; Path=/; HttpOnly; SameSite=Lax'
    return [
        f'http-response add-header Set-Cookie {given}; Secure" if {{ var(txn.pin) -m found }} {{ var(txn.secure) -m found }}',
        f'http-response add-header Set-Cookie {given}" if {{ var(txn.pin) -m found }} !{{ var(txn.secure) -m found }}',
    ]
