"""The types of values in a slipway.yml: each reads a node, writes it back, and tells the reference what it is."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from blueprints.reader import NO, YES, Reader, is_null, meant
from core.text import is_text

NUMBER = re.compile(r"-?\d{1,9}(\.\d{1,6})?", re.ASCII)


class Type(Protocol):
    """`read` returns the value, or notes a problem and returns anything; `words` is what the reference says."""

    @property
    def words(self) -> str: ...

    def read(self, node: Node, reader: Reader, what: str) -> Any: ...


@dataclass(frozen=True)
class Text:
    """A line, or several."""

    most: int = 200
    empty: bool = True
    words: str = "text"

    def read(self, node: Node, reader: Reader, what: str) -> str:
        """As it is written; nothing is an empty one."""
        text = "" if is_null(node) else reader.text(node)
        if text is None or not is_text(text):
            reader.wrong(node, f"{what} is text.")
            return ""
        if len(text) > self.most:
            reader.wrong(node, f"{what} has {self.most} characters at most.")
        if not text.strip() and not self.empty:
            reader.wrong(node, f"Say something as {what}.")
        return text.strip()


@dataclass(frozen=True)
class Number:
    """From `least` to `most`; with `none` it may be left empty."""

    least: float
    most: float
    whole: bool = True
    none: bool = False

    @property
    def words(self) -> str:
        """With its bounds."""
        return f"number, {self.least:g} to {self.most:,g}" + (", or nothing" if self.none else "")

    def read(self, node: Node, reader: Reader, what: str) -> float | int | None:
        """The number."""
        if self.none and is_null(node):
            return None
        text = reader.text(node) or ""
        if not NUMBER.fullmatch(text) or (self.whole and "." in text):
            reader.wrong(node, f"{what} is a {'whole ' if self.whole else ''}number.")
            return None
        value = int(text) if "." not in text else float(text)
        if not self.least <= value <= self.most:
            reader.wrong(node, f"{what} is a number from {self.least:g} to {self.most:,g}.")
        return value


@dataclass(frozen=True)
class Flag:
    """Yes or no."""

    words: str = "true or false"

    def read(self, node: Node, reader: Reader, what: str) -> bool:
        """Whether it is so."""
        text = (reader.text(node) or "").lower()
        if text not in (*YES, *NO):
            reader.wrong(node, f"{what} is true or false.")
        return text in YES


@dataclass(frozen=True)
class Choice:
    """One of some words."""

    of: Sequence[str]

    @property
    def words(self) -> str:
        """All of them."""
        return ", ".join(self.of)

    def read(self, node: Node, reader: Reader, what: str) -> str:
        """The word."""
        text = reader.text(node) or ""
        if text not in self.of:
            reader.wrong(
                node, f"{what} is one of {', '.join(self.of)}, not “{text[:40]}”. {meant(text, self.of)}"
            )
        return text


@dataclass(frozen=True)
class Pattern:
    """Text of a certain form: `hint` shows how it is written."""

    form: re.Pattern[str]
    hint: str
    empty: bool = False

    @property
    def words(self) -> str:
        """An example."""
        return f"text like {self.hint}"

    def read(self, node: Node, reader: Reader, what: str) -> str:
        """As it is written."""
        text = "" if is_null(node) else (reader.text(node) or "").strip()
        if not self.form.fullmatch(text) and not (self.empty and not text):
            reader.wrong(node, f"{what} is written like {self.hint}.")
        return text


@dataclass(frozen=True)
class List:
    """Several of a type, `most` at most. With `named` each word once, in the order of those."""

    of: Type
    most: int = 50
    set_of: Sequence[str] = ()

    @property
    def words(self) -> str:
        """What is in it."""
        return f"list: {self.of.words}"

    def read(self, node: Node, reader: Reader, what: str) -> list[Any]:
        """The values."""
        if is_null(node):
            return []
        found = [self.of.read(item, reader, what) for item in reader.items(node, what, self.most)]
        return [word for word in self.set_of if word in found] if self.set_of else found


@dataclass(frozen=True)
class Map:
    """Keys that anybody may choose, each with a value of one type."""

    keys: re.Pattern[str]
    of: Type
    most: int = 20
    words: str = "table"

    def read(self, node: Node, reader: Reader, what: str) -> dict[str, Any]:
        """The values by their keys."""
        if is_null(node):
            return {}
        if not isinstance(node, MappingNode):
            reader.wrong(node, f"{what} has keys and values, one to a line: key: value.")
            return {}
        names = [reader.text(key) or "" for key, _ in node.value]
        if len(node.value) > self.most or len(set(names)) < len(names):
            reader.wrong(node, f"{what} has {self.most} keys at most, each once.")
        for name, (key, _) in zip(names, node.value, strict=True):
            if not self.keys.fullmatch(name):
                reader.wrong(key, f"“{name[:40]}” can't be a key of {what}.")
        pairs = zip(names, node.value, strict=True)
        return {name: self.of.read(value, reader, f"{what}.{name}") for name, (_, value) in pairs}


@dataclass(frozen=True)
class Field:
    """A key of a table. `default` is what counts where it is left out; `needed` ones can't be."""

    key: str
    type: Type
    default: Any
    meaning: str
    needed: bool = False


@dataclass(frozen=True)
class Table:
    """Keys with a meaning each. `short` reads what may be written instead of a table."""

    name: str
    fields: Sequence[Field]
    short: Callable[[str], Mapping[str, Any] | None] = field(default=lambda text: None)

    @property
    def words(self) -> str:
        """Where it is told of."""
        return f"table: {self.name}"

    @property
    def defaults(self) -> dict[str, Any]:
        """What counts where nothing is said."""
        return {one.key: one.default for one in self.fields}

    def read(self, node: Node, reader: Reader, what: str) -> dict[str, Any]:
        """The values of all its keys."""
        if is_null(node):
            return self.defaults
        if isinstance(node, ScalarNode) and (said := self.short(node.value)) is not None:
            return {**self.defaults, **said}
        entries = reader.entries(node, [one.key for one in self.fields], what)
        for one in self.fields:
            if one.needed and one.key not in entries:
                reader.wrong(node, f"{what} needs a {one.key}: {one.type.words}.")
        return {
            one.key: one.type.read(entries[one.key], reader, f"{what}.{one.key}" if what else one.key)
            if one.key in entries
            else one.default
            for one in self.fields
        }


@dataclass(frozen=True)
class People:
    """One of some words, or a list of mail addresses."""

    of: Sequence[str]

    @property
    def words(self) -> str:
        """Both."""
        return f"{', '.join(self.of)}, or a list of e-mail addresses"

    def read(self, node: Node, reader: Reader, what: str) -> str | list[str]:
        """The word, or the addresses in lower case and in their order."""
        if isinstance(node, SequenceNode):
            found = List(Text(254, empty=False), 50).read(node, reader, what)
            if not found:
                reader.wrong(node, f"Name somebody as {what}.")
            return sorted({address.lower() for address in found})
        return Choice(self.of).read(node, reader, what)


@dataclass(frozen=True)
class Tagged:
    """An entry that says its kind first: `approval: {count: 2}`, or the kind alone."""

    kinds: Mapping[str, Table]
    words: str = "table with one key"

    def read(self, node: Node, reader: Reader, what: str) -> dict[str, Any]:
        """`{"kind": …, "settings": {…}}`."""
        if isinstance(node, ScalarNode):
            kind = Choice(list(self.kinds)).read(node, reader, what)
            return {"kind": kind, "settings": self.kinds[kind].defaults if kind in self.kinds else {}}
        entries = reader.entries(node, list(self.kinds), what)
        if len(entries) != 1 and isinstance(node, MappingNode) and len(node.value) != 1:
            reader.wrong(node, f"{what} has one key, its kind.")
        for kind, value in entries.items():
            return {"kind": kind, "settings": self.kinds[kind].read(value, reader, kind)}
        return {"kind": "", "settings": {}}
