"""Results in the forms of other tools.

Law: one module for each form, with one function `export(results, names)`; it hands over what `metrics` computes, in
the unit that the other tool expects, and invents nothing that it expects beyond that. docs/comparing.md has the forms.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from tensorwire import metrics
from tensorwire.case import Case
from tensorwire.errors import SpecError
from tensorwire.metrics import Estimate
from tensorwire.result import Result

FORMS = {
    "prometheus": "prometheus",
    "google-benchmark": "google_benchmark",
    "github-action": "github_action",
    "github-action-bigger": "github_action_bigger",
    "bencher": "bencher",
    "csv": "csv",
    "osu": "osu",
    "parquet": "parquet",
}
"""By name: the module of this folder."""


class Form(Protocol):
    """What every module of this folder offers."""

    def export(self, results: Sequence[Result], names: Sequence[str], /) -> bytes:
        """The file's bytes; `names` are the metrics in it, those that the form usually has unless given.

        Raises SpecError for results that have no such form, ExportUnavailable when a package is missing.
        """


def export(form: str, results: Sequence[Result], names: Sequence[str] = ()) -> bytes:
    """The results in a form. Raises SpecError for an unknown form or metric, and as the form does."""
    if form not in FORMS:
        raise SpecError.unknown("form", form, FORMS)
    for name in names:
        metrics.get(name)
    module: Form = import_module(f"tensorwire.exports.{FORMS[form]}")
    return module.export(results, names)


def estimates(case: Case, names: Sequence[str]) -> list[Estimate]:
    """Of the metrics that have a value: their median over the repetitions, and its interval."""
    found = (metrics.estimate(metrics.get(name), case.samples) for name in names)
    return [each for each in found if each is not None]


def by_name(found: Sequence[Case]) -> dict[str, Case]:
    """The cases by their names. Raises SpecError when two that are not alike have the same."""
    named: dict[str, Case] = {}
    for case in found:
        name = case.name()
        if name in named:
            sentence = f"two results that are not alike are called {name}: export them one at a time"
            raise SpecError("results", name, "results with names of their own", sentence)
        named[name] = case
    return named


def refuse_choice(form: str, names: Sequence[str]) -> None:
    """Raises SpecError when metrics are chosen for a form that always has the same."""
    if names:
        sentence = f"the form {form} has its own metrics: leave out --metric"
        raise SpecError("metric", ", ".join(names), "left out", sentence)
