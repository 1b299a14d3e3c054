"""The tree-structured Parzen estimator of Optuna (Bergstra et al., NIPS 2011)."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distillbench import hookimpl
from distillbench.data import LARGEST_SEED
from distillbench.errors import ConfigError, DataError
from distillbench.interfaces import Between, OneOf, Study, Trial, TrialState, Tuner
from distillbench_plugins.layers.knobs import refuse, wrong_counts

if TYPE_CHECKING:
    from optuna import Study as OptunaStudy
    from optuna.distributions import BaseDistribution

_NAME = "study"
_STEP = 0  # of the one value that a stopped trial reports


class OptunaTPE(Tuner):
    """Proposes what trials near the best ones have in common and the others lack.

    The tree-structured Parzen estimator of Optuna 5 (arXiv 2304.11127), over all settings at once;
    trials that are still asked count as poor, so that no two are alike. The file is Optuna's
    journal: `optuna-dashboard FILE` shows it.

    Knobs:
        startup: trials that are drawn at random before the estimator begins.
    """

    def __init__(self, study: Study, *, startup: int = 4) -> None:
        refuse(wrong_counts("tuner optuna-tpe", startup=(startup, 1, 10_000)))
        self._file, self._seed, self._startup = Path(study.file), study.seed, startup
        self._space = study.space

    @functools.cached_property
    def _study(self) -> OptunaStudy:
        try:
            import optuna
            from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
        except ImportError as error:
            raise ConfigError(
                ["the tuner 'optuna-tpe' needs Optuna: pip install 'distillbench[tune]'"]
            ) from error
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        _cut_torn_line(self._file)
        backend = JournalFileBackend(str(self._file), lock_obj=JournalFileOpenLock(str(self._file)))
        try:
            return optuna.create_study(
                storage=optuna.storages.JournalStorage(backend),
                study_name=_NAME,
                direction="maximize",
                load_if_exists=True,
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"'{self._file}' is not a journal of Optuna ({error}); remove it to begin"
                " that search anew: trials that are stored are not made again"
            ) from error

    def ask(self) -> Trial:
        """Proposes the next trial and keeps it."""
        import optuna

        number = len(self._study.get_trials(deepcopy=False))
        self._study.sampler = optuna.samplers.TPESampler(
            n_startup_trials=self._startup,
            multivariate=True,
            seed=(self._seed * 1_000_003 + number) % min(LARGEST_SEED, 2**32 - 1),
        )
        asked = self._study.ask({name: _distribution(each) for name, each in self._space.items()})
        return Trial(asked.number, dict(asked.params))

    def tell(self, number: int, state: TrialState, quality: float | None) -> None:
        """Keeps how a trial ended."""
        from optuna.trial import Trial as OptunaTrial
        from optuna.trial import TrialState as State

        if state == "stopped" and quality is not None:
            trial_id = self._study.get_trials(deepcopy=False)[number]._trial_id
            OptunaTrial(self._study, trial_id).report(quality, _STEP)
            self._study.tell(number, state=State.PRUNED)
        elif state == "finished":
            self._study.tell(number, quality)
        else:
            self._study.tell(number, state=State.FAIL)

    def trials(self) -> Sequence[Trial]:
        """Returns every trial that was asked, in order."""
        found = self._study.get_trials(deepcopy=False)
        return [Trial(each.number, dict(each.params), *_end(each)) for each in found]


def _end(trial: Any) -> tuple[TrialState, float | None]:
    states: dict[str, TrialState] = {"COMPLETE": "finished", "PRUNED": "stopped", "FAIL": "failed"}
    state = states.get(trial.state.name, "asked")
    quality = trial.intermediate_values.get(_STEP) if state == "stopped" else trial.value
    return state, quality


def _distribution(part: Between | OneOf) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(part, OneOf):
        return CategoricalDistribution(part.values)
    if part.whole:
        return IntDistribution(int(part.low), int(part.high), log=part.log)
    return FloatDistribution(part.low, part.high, log=part.log)


def _cut_torn_line(file: Path) -> None:
    """Cuts off the line that a process was writing when it was killed."""
    if not file.is_file():
        return
    with file.open("rb+") as opened:
        content = opened.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            opened.truncate(whole)
            os.fsync(opened.fileno())


@hookimpl
def tuners() -> dict[str, type[Tuner]]:
    """Offers `optuna-tpe`."""
    return {"optuna-tpe": OptunaTPE}
