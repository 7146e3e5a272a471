"""What a rule or a fact takes is what the table or fact of that name gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, get_type_hints

import numpy as np
import pytest

import nfsrpc.facts
import nfsrpc.tables
from nfsrpc.columns import Table
from nfsrpc.diagnosis import catalogue
from nfsrpc.facts.basic import FACTS
from nfsrpc.facts.inputs import Inputs, parameters_of
from nfsrpc.findings.finding import Finding
from nfsrpc.tables import TABLES

for module in walk_packages(nfsrpc.facts.__path__, f"{nfsrpc.facts.__name__}."):
    import_module(module.name)

# What the other rules found; `unexplained` is a part of it.
OF_OTHERS = {"faults": tuple[Finding, ...], "unexplained": tuple[Finding, ...]}


def given(name: str) -> Any:
    """The type of the table or fact of this name."""
    if name in TABLES:
        return getattr(nfsrpc.tables, name.capitalize())
    return OF_OTHERS.get(name) or get_type_hints(FACTS[name])["return"]


def taken() -> Iterator[tuple[str, Callable[..., Any], tuple[str, ...]]]:
    """Every rule and fact with the names of its parameters but for thresholds."""
    for name, check in catalogue.rules().items():
        yield name, check.check, check.parameters
    for name, function in FACTS.items():
        yield name, function, parameters_of(function)


TAKEN = list(taken())


@pytest.mark.parametrize(("name", "function", "parameters"), TAKEN, ids=[name for name, _, _ in TAKEN])
def test_parameters_are_annotated_as_what_they_get(
    name: str, function: Callable[..., Any], parameters: tuple[str, ...]
) -> None:
    hints = get_type_hints(function)
    assert {each: hints[each] for each in parameters} == {each: given(each) for each in parameters}


def test_inputs_are_all_tables_and_facts_with_their_types() -> None:
    known = {*TABLES, *FACTS, *OF_OTHERS} - {"findings"}  # which come of the diagnosis
    assert get_type_hints(Inputs) == {name: given(name) for name in known}


def test_an_input_that_there_is_not_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no table and no fact named lockz"):
        Inputs({})["lockz"]


def test_every_table_has_its_class() -> None:
    for name, spec in TABLES.items():
        own = getattr(nfsrpc.tables, name.capitalize())
        assert (own.__name__, own.__bases__) == (name.capitalize(), (Table,))
        assert type(own.of(spec, ()).where(np.zeros(0, dtype=np.bool_))) is own
