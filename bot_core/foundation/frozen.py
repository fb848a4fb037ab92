"""Frozen dataclasses that are made quickly: see docs/adr/0011."""

import dataclasses
from operator import attrgetter
from typing import Any, NoReturn, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field,))
def frozen(cls: type[T]) -> type[T]:
    """Make a class what ``dataclass(frozen=True)`` makes of it: a value, compared, hashed and shown by its fields.

    The standard decorator compiles six methods for each class; this one has it compile the constructor, and gives the
    other five from below. A class without fields, or with slots, is for the standard one.
    """
    made = dataclasses.dataclass(eq=False, repr=False)(cls)
    fields = dataclasses.fields(made)  # type: ignore[arg-type]  # it has just been made one
    methods = {
        "_compared": staticmethod(attrgetter(*(item.name for item in fields if item.compare))),
        "_shown": tuple(item.name for item in fields if item.repr),
        "__eq__": _equals,
        "__hash__": _hash,
        "__repr__": _show,
        "__setattr__": _set_once,
        "__delattr__": _refuse,
    }
    for name, method in methods.items():
        setattr(made, name, method)
    return made


def replace(value: T, /, **changes: object) -> T:
    """Return a copy with some fields changed, as ``dataclasses.replace`` does."""
    changed: T = dataclasses.replace(value, **changes)  # type: ignore[type-var]  # made by `frozen`
    return changed


def _equals(self: Any, other: Any) -> bool:
    return self._compared(self) == self._compared(other) if other.__class__ is self.__class__ else NotImplemented


def _hash(self: Any) -> int:
    return hash(self._compared(self))


def _show(self: Any) -> str:
    return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self._shown)})"


def _set_once(self: Any, name: str, value: object) -> None:
    if name in self.__dict__:
        _refuse(self, name)
    self.__dict__[name] = value


def _refuse(self: Any, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"{type(self).__qualname__}.{name} is set once")
