"""What a value breaks of a type of an official SDK.

The SDKs' own validation is lenient on purpose: it lets members pass that a type does not have, and parameters are never
validated at all. Here nothing is: `Checks.of(type)` is a function that tells every place where a value does not fit,
members that the type lacks among them. It reads the types as they are published, `TypedDict`s as well as models.
"""

import base64
import binascii
import collections.abc
import datetime
import enum
import os
import re
import types
import typing

import pydantic
import typing_extensions

NONE = type(None)
ANYTHING = (typing.Any, object, typing_extensions.Any)
UNIONS = (typing.Union, types.UnionType)
LISTS = (list, tuple, set, collections.abc.Iterable, collections.abc.Sequence)
QUALIFIERS = (typing_extensions.Required, typing_extensions.NotRequired, typing.Annotated)
# What a program may pass and no wire can carry.
NEVER_ON_THE_WIRE = (os.PathLike, typing.IO)


class Member(typing.NamedTuple):
    name: str
    type: object
    is_required: bool


def members(kind):
    """The members of a type of objects, by their names on the wire; `None` when it is another type."""
    if typing_extensions.is_typeddict(kind):
        # Whether a member must be there is decided where it is declared.
        bases = filter(typing_extensions.is_typeddict, typing_extensions.get_original_bases(kind))
        inherited = {member.name: member for base in bases for member in members(base)}
        hints = typing_extensions.get_type_hints(kind, include_extras=True)
        return [inherited.get(name) or member_of_parameters(name, hint, kind) for name, hint in hints.items()]
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        fields = kind.model_fields.items()
        return [Member(field.alias or name, field.annotation, field.is_required()) for name, field in fields]
    return None


def member_of_parameters(name, hint, kind):
    is_required = kind.__total__
    while (origin := typing.get_origin(hint)) in QUALIFIERS:
        if origin is typing.Annotated:
            name = next((extra.alias for extra in hint.__metadata__ if getattr(extra, "alias", None)), name)
        else:
            is_required = origin is typing_extensions.Required
        hint = typing.get_args(hint)[0]
    return Member(name, hint, is_required)


def plain(kind):
    """A type without its annotations and names."""
    while True:
        if typing.get_origin(kind) is typing.Annotated:
            kind = typing.get_args(kind)[0]
        elif isinstance(kind, typing_extensions.TypeAliasType):
            kind = kind.__value__
        else:
            return kind


def branches(kind):
    """The types of a union, however deep it is."""
    kind = plain(kind)
    if typing.get_origin(kind) in UNIONS:
        return [branch for part in typing.get_args(kind) for branch in branches(part)]
    return [kind]


def is_off_the_wire(kind):
    origin = typing.get_origin(kind) or kind
    return isinstance(origin, type) and issubclass(origin, NEVER_ON_THE_WIRE)


def fits_bytes(value):
    try:
        base64.b64decode(value.replace("-", "+").replace("_", "/"), validate=True)
    except (AttributeError, binascii.Error):
        return False
    return True


SCALARS = {
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and not isinstance(value, bool),
    float: lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    NONE: lambda value: value is None,
    dict: lambda value: isinstance(value, dict),
    bytes: fits_bytes,
    datetime.datetime: lambda value: isinstance(value, str),
}


def shown(value):
    """A value in a message. Objects of one kind look alike."""
    if isinstance(value, dict):
        return f"an object of {', '.join(sorted(value))}"
    if isinstance(value, list):
        return f"an array of {shown(value[0])}" if value else "an empty array"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


class Checks:
    """Checks by type. `accepts(path, what)` says of what breaks a type whether it is meant."""

    def __init__(self, accepts=lambda path, what: False):
        self.accepts = accepts
        self.known = {}

    def problems(self, kind, value):
        """A pair for every place: its path, and what is wrong there."""
        found = []
        self.of(kind)(value, "", found)
        return found

    def tell(self, found, path, what):
        if not self.accepts(re.sub(r"\[\d+\]", "[]", path), what):
            found.append((path, what))

    def of(self, kind):
        kind = plain(kind)
        check = self.known.get(kind)
        if check is None:
            # Types contain themselves.
            self.known[kind] = lambda value, path, found: self.known[kind](value, path, found)
            check = self.known[kind] = self.made(kind)
        return check

    def made(self, kind):
        origin, parts = typing.get_origin(kind), typing.get_args(kind)
        if kind in ANYTHING:
            return lambda value, path, found: None
        if origin in UNIONS:
            return self.union(branches(kind))
        if origin is typing.Literal or isinstance(kind, type) and issubclass(kind, enum.Enum):
            words = parts or tuple(word.value for word in kind)
            return self.scalar(f"one of {words}", lambda value: value in words)
        if kind in SCALARS:
            return self.scalar(kind.__name__, SCALARS[kind])
        if shape(kind) is list:
            return self.array(self.of(parts[0]))
        if shape(kind) is dict and parts:
            return self.map(self.of(parts[1]))
        fields = members(kind)
        if fields is None:
            raise TypeError(f"no check is known for {kind!r}")
        # Whether it is the type of a request for a stream says nothing of its members.
        return self.object(re.sub("(Non)?Streaming$", "", kind.__name__), fields)

    def scalar(self, name, fits):
        def check(value, path, found):
            if not fits(value):
                self.tell(found, path, f"{shown(value)} is not {name}")
        return check

    def array(self, element):
        def check(value, path, found):
            if not isinstance(value, list):
                return self.tell(found, path, f"{shown(value)} is no array")
            for at, part in enumerate(value):
                element(part, f"{path}[{at}]", found)
        return check

    def map(self, member):
        def check(value, path, found):
            if not isinstance(value, dict):
                return self.tell(found, path, f"{shown(value)} is no object")
            for name, part in value.items():
                member(part, f"{path}.{name}", found)
        return check

    def object(self, kind, fields):
        checks = {field.name: self.of(field.type) for field in fields}
        required = [field.name for field in fields if field.is_required]

        def check(value, path, found):
            if not isinstance(value, dict):
                return self.tell(found, path, f"{shown(value)} is no {kind}")
            for name, part in value.items():
                if name in checks:
                    checks[name](part, f"{path}.{name}", found)
                else:
                    self.tell(found, f"{path}.{name}", f"{kind} has no such member")
            for name in required:
                if name not in value:
                    self.tell(found, f"{path}.{name}", f"{kind} needs it")
        return check

    def union(self, kinds):
        kinds = [kind for kind in kinds if not is_off_the_wire(kind)]
        objects = [(tags(kind), self.of(kind)) for kind in kinds if members(kind) is not None]
        others = [(shape(kind), self.of(kind)) for kind in kinds if members(kind) is None]

        def check(value, path, found):
            wanted = type(value) if isinstance(value, (dict, list)) else None
            chosen = [check for form, check in others if form in (wanted, object)]
            if isinstance(value, dict):
                named = [check for words, check in objects if is_named(value, words)]
                chosen += named or [check for _, check in objects]
            best = None
            for check in chosen:
                problems = []
                check(value, path, problems)
                if not problems:
                    return
                if best is None or len(problems) < len(best):
                    best = problems
            if best is None:
                self.tell(found, path, f"{shown(value)} is none of {', '.join(name(kind) for kind in kinds)}")
            else:
                found.extend(best)
        return check


def name(kind):
    return getattr(kind, "__name__", str(kind))


def shape(kind):
    """The container of JSON that a type is read from; `object` stands for any value, `None` is for scalars."""
    if kind in ANYTHING:
        return object
    origin = typing.get_origin(kind) or kind
    if origin in LISTS or name(origin) == "SequenceNotStr":
        return list
    if origin in (dict, collections.abc.Mapping):
        return dict
    return None


def tags(kind):
    """The words by which a value says that it is of this type, by member."""
    words = {}
    for member in members(kind):
        literal = [plain(part) for part in branches(member.type) if plain(part) is not NONE]
        if literal and all(typing.get_origin(part) is typing.Literal for part in literal):
            words[member.name] = ({word for part in literal for word in typing.get_args(part)}, member.is_required)
    return words


def is_named(value, words):
    for name, (known, is_required) in words.items():
        if name in value:
            if isinstance(value[name], (str, bool)) and value[name] not in known:
                return False
        elif is_required:
            return False
    return True
