from __future__ import annotations

import types

import pytest

import aurora.library
import aurora.testing


@pytest.mark.parametrize("module", [aurora.testing, aurora.library], ids=lambda module: module.__name__)
def test_what_is_promised_is_listed_and_there(module: types.ModuleType) -> None:
    """`__all__` is sorted, names what is there, and each name says what it is."""
    names = module.__all__
    assert names == sorted(names, key=lambda name: (not name[0].isupper(), name))
    assert len(set(names)) == len(names)
    for name in names:
        thing = getattr(module, name)
        assert thing.__module__.startswith(("aurora.", "typing", "builtins", "types")), name
        if isinstance(thing, type | types.FunctionType):
            assert thing.__doc__, name


def test_the_facade_of_the_plugin_hides_nothing() -> None:
    """Whatever `aurora.testing` imports for its users is in `__all__`."""
    public = {
        name
        for name, thing in vars(aurora.testing).items()
        if not name.startswith("_") and not isinstance(thing, types.ModuleType)
    }
    assert public == set(aurora.testing.__all__)
