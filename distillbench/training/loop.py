"""The one training loop: it runs a schedule's phases, keeps each learner's best epoch and can go on where it stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from distillbench.config.schedule_rules import changed_by
from distillbench.data.batches import batches, shuffled
from distillbench.errors import ResultError, TrainingError
from distillbench.evaluation.evaluate import evaluate
from distillbench.evaluation.metric_set import MetricSet
from distillbench.interfaces import Phase
from distillbench.networks import Model
from distillbench.seeds import derive
from distillbench.training import phase_starts
from distillbench.training.build import Experiment, build_network
from distillbench.training.callbacks import SILENT, Observer
from distillbench.training.checkpoint import Checkpoints, Progress, mismatch
from distillbench.training.objective import Objective
from distillbench.training.optimizer import Optimizer
from distillbench.training.teacher_store import TeacherStore, is_shareable, phase_key

_CHECKED_EVERY = 20  # steps between looks at the running sums: a look waits for the device


@dataclass(frozen=True)
class Fitted:
    """What training leaves behind beside the weights: one history row an epoch, and the seconds this run spent."""

    history: list[dict[str, Any]]
    seconds: float


def fit(
    experiment: Experiment,
    metrics: MetricSet,
    teachers: TeacherStore,
    checkpoints: Checkpoints,
    observer: Observer = SILENT,
) -> Fitted:
    """Trains a run's networks in place; each learner ends every phase with its best epoch.

    The first of the metrics chooses it, on the validation split.

    Several processes walk the same batches in the same order, share the rows of each, and always have the same weights;
    one of them writes, and is watched.

    Raises `TrainingError` where a loss is no finite number.
    """
    return _Loop(experiment, metrics, teachers, checkpoints, observer).run()


class _Loop:
    def __init__(
        self,
        experiment: Experiment,
        metrics: MetricSet,
        teachers: TeacherStore,
        checkpoints: Checkpoints,
        observer: Observer,
    ) -> None:
        self.metrics = metrics
        self.experiment, self.teachers, self.processes = experiment, teachers, experiment.processes
        self.checkpoints = checkpoints if self.processes.is_main else Checkpoints(None, "")
        self.observer = observer if self.processes.is_main else SILENT
        self.spec, self.models = experiment.spec, experiment.models
        self.progress = Progress()
        self.best_weights: dict[str, Tensor] = {}
        self.optimiser_state: dict[str, Tensor] | None = None

    def run(self) -> Fitted:
        resumed = self._resume()
        while self.progress.phase < len(self.spec.phases):
            phase = self.spec.phases[self.progress.phase]
            if not resumed:
                phase_starts.begin(phase, self.models, self._fresh)
            if resumed or not self._take_stored(phase):
                self._run_phase(phase)
            resumed = False
            self.progress.phase += 1
            self.progress.epoch = self.progress.step = 0
            self.progress.sums, self.progress.best, self.best_weights = {}, {}, {}
        return Fitted(self.progress.history, self.progress.seconds)

    def _fresh(self, network: str) -> Model:
        """Builds a network with weights that are drawn for this phase alone."""
        phase = self.spec.phases[self.progress.phase]
        return build_network(self.spec, self.experiment.splits, network, phase.name)[0]

    def _run_phase(self, phase: Phase) -> None:
        phase_starts.set_modes(phase, self.models)
        objective = Objective(self.experiment, phase, self.teachers.signals, self.observer)
        optimizer = self._optimizer(phase, objective)
        steps = math.ceil(len(self.experiment.splits.train) / self.spec.training.batch_size)
        done = self.progress.epoch * steps + self.progress.step
        self.observer.phase_started(phase.name, phase.epochs, steps, done)
        for epoch in range(self.progress.epoch, phase.epochs):
            self.progress.epoch = epoch
            began = time.perf_counter()
            self._train_epoch(phase, epoch, optimizer, objective)
            row = self._validate(phase, epoch, optimizer, time.perf_counter() - began)
            self.progress.history.append(row)
            self.progress.epoch, self.progress.step, self.progress.sums = epoch + 1, 0, {}
            self.observer.epoch_ended(row)
            self._save(optimizer)
        self._finish(phase)

    def _train_epoch(
        self, phase: Phase, epoch: int, optimizer: Optimizer, objective: Objective
    ) -> None:
        training, train = self.spec.training, self.experiment.splits.train
        order = shuffled(len(train), self.spec.seed, self.progress.phase * 1_000_003 + epoch)
        first, steps = self.progress.step, math.ceil(len(train) / training.batch_size)
        sums = {
            name: torch.tensor(value, dtype=torch.float64, device=self.experiment.device)
            for name, value in self.progress.sums.items()
        }
        began = time.perf_counter()
        source = batches(
            train,
            order,
            training.batch_size,
            objective.views,
            epoch=epoch,
            skip=first,
            processes=self.processes,
            device=self.experiment.device,
        )
        for step, batch in enumerate(source, start=first):
            torch.manual_seed(derive(self.spec.seed, phase.name, epoch, step))
            loss = objective(batch, sums, (epoch + step / steps) / phase.epochs)
            optimizer.step(loss, epoch * len(train) + step * training.batch_size)
            objective.after_step()
            phase_starts.follow(phase, self.models)
            self.progress.step = step + 1
            self.observer.step_ended()
            due = self.checkpoints.due()
            if due or step % _CHECKED_EVERY == 0:
                self._check_finite(phase, epoch, sums)
            if due:
                self.progress.sums = {name: float(value) for name, value in sums.items()}
                self.progress.seconds += time.perf_counter() - began
                began = time.perf_counter()
                self._save(optimizer)
        self.progress.seconds += time.perf_counter() - began
        self._check_finite(phase, epoch, sums)
        self.progress.sums = {name: float(value) for name, value in sums.items()}

    def _optimizer(self, phase: Phase, objective: Objective) -> Optimizer:
        parameters = phase_starts.learning_parameters(phase, self.models)
        own = {name: phase.learners[name.partition(".")[0]].optimizer for name in parameters}
        groups: list[Mapping[str, Any]] = []
        for key in objective.losses:
            loss = self.experiment.losses[key]
            for inner, parameter in loss.named_parameters():
                parameters[f"{key.learner}.loss.{str(key).partition('.')[2]}.{inner}"] = parameter
            groups += loss.optimizer_groups()
        matrices = [
            p for n in phase.learners for p in self.models[n].head.parameters() if p.dim() > 1
        ]
        optimizer = Optimizer(
            parameters, matrices, self.spec.training, self.processes, own=own, groups=groups
        )
        if self.optimiser_state is not None:
            optimizer.restore(self.optimiser_state)
            self.optimiser_state = None
        return optimizer

    def _check_finite(self, phase: Phase, epoch: int, sums: Mapping[str, Tensor]) -> None:
        bad = [name for name, value in sums.items() if not math.isfinite(value)]
        if not bad:
            return
        terms = ", ".join(
            f"the {learner}'s '{term}'"
            for learner, _, term in (name.partition("/") for name in bad)
        )
        kept = (
            f"epoch {epoch} is kept in {self.checkpoints.path}"
            if epoch and self.checkpoints.path
            else "no epoch was finished"
        )
        raise TrainingError(
            f"phase '{phase.name}', epoch {epoch + 1}: {terms} became NaN or infinite; {kept}. A smaller "
            "--set training.learning_rate or weight of that term usually helps"
        )

    def _validate(
        self, phase: Phase, epoch: int, optimizer: Optimizer, seconds: float
    ) -> dict[str, Any]:
        seen = (epoch + 1) * len(self.experiment.splits.train)
        networks: dict[str, Any] = {}
        for learner in self._validated(phase):
            sums = {
                n.partition("/")[2]: v
                for n, v in self.progress.sums.items()
                if n.startswith(f"{learner}/")
            }
            found = evaluate(
                self.models[learner],
                self.experiment.splits.validation,
                self.experiment.evaluation_views[learner],
                self.spec.training.batch_size,
                self.experiment.device,
                self.metrics,
                self.metrics.each_epoch,
                warn=self.observer.message,
                processes=self.processes,
            ).metrics
            worth, best = self.metrics.worth(found), self.progress.best.get(learner)
            if best is None or worth > best[0]:
                self.progress.best[learner] = (worth, epoch)
                kept = {
                    f"{learner}.{n}": t.detach().cpu().clone()
                    for n, t in self.models[learner].state_dict().items()
                }
                self.best_weights |= kept
            networks[learner] = {
                "terms": {
                    name: value / len(self.experiment.splits.train) for name, value in sums.items()
                },
                "validation": dict(found),
                "best": self.progress.best[learner][1] + 1,
            }
        rate = optimizer.learning_rate(seen)
        return {
            "phase": phase.name,
            "epoch": epoch + 1,
            "examples": seen,
            "steps": self.progress.step * (epoch + 1),
            "seconds": seconds,
            "learning_rate": rate,
            "networks": networks,
        }

    def _validated(self, phase: Phase) -> list[str]:
        """Lists whose best epoch is kept: all learners, and an average that the run reports."""
        reported = [name for name in phase.averages if name == self.spec.reports]
        return [*phase.learners, *reported]

    def _finish(self, phase: Phase) -> None:
        phase_starts.end(phase, self.models)
        for network in self._validated(phase):
            weights = _under(f"{network}.", self.best_weights)
            if weights:
                self.models[network].load_state_dict(weights)
        number = self.progress.phase
        if is_shareable(self.spec, number) and self.processes.is_main:
            rows = [row for row in self.progress.history if row["phase"] == phase.name]
            try:
                self.teachers.keep(phase_key(self.experiment, number), self._changed(phase), rows)
            except ResultError as error:  # the student may still find room for its result
                self.observer.message(f"the teacher is not stored: {error}")

    def _changed(self, phase: Phase) -> dict[str, Tensor]:
        """The weights of the networks that a phase changes, by network and name."""
        return {
            f"{network}.{name}": tensor
            for network in sorted(changed_by(phase))
            for name, tensor in self.models[network].state_dict().items()
        }

    def _take_stored(self, phase: Phase) -> bool:
        """Takes what another run trained in the same phase; tells whether there was such a run."""
        if not is_shareable(self.spec, self.progress.phase):
            return False
        key, like = phase_key(self.experiment, self.progress.phase), self._changed(phase)
        stored = self.processes.broadcast(
            lambda: self.teachers.find(key, like, self.observer.message)
        )
        if stored is None:
            return False
        for network in changed_by(phase):
            self.models[network].load_state_dict(_under(f"{network}.", stored.weights))
        self.progress.history += stored.history
        for row in stored.history:
            self.observer.epoch_ended(row)
        names = " and ".join(f"the {network}" for network in phase.learners)
        verb = "was" if len(phase.learners) == 1 else "were"
        self.observer.message(f"{names} {verb} trained before ({key}); --retrain trains again")
        return True

    def _save(self, optimizer: Optimizer) -> None:
        tensors = self._trained()
        tensors |= {f"best.{name}": t for name, t in self.best_weights.items()}
        tensors |= {f"optimiser.{name}": t for name, t in optimizer.state().items()}
        try:
            self.checkpoints.save(tensors, self.progress)
        except (
            ResultError
        ) as error:  # a full disk must not end a training that may still find room for its result
            self.observer.message(f"no checkpoint: {error}")

    def _resume(self) -> bool:
        """Takes up the last checkpoint; tells whether a phase goes on in its middle."""
        found = self.processes.broadcast(self._last_state)
        if found is None:
            return False
        tensors, self.progress = found
        for network, model in self.models.items():
            model.load_state_dict(_under(f"model.{network}.", tensors))
        for key, loss in self.experiment.losses.items():
            loss.load_state_dict(_under(f"loss.{key}/", tensors))
        self.best_weights = _under("best.", tensors)
        self.optimiser_state = _under("optimiser.", tensors)
        phase = self.spec.phases[self.progress.phase]
        self.observer.message(
            f"going on in phase '{phase.name}' after {self.progress.epoch} epochs"
        )
        return True

    def _last_state(self) -> tuple[dict[str, Tensor], Progress] | None:
        """Reads the last checkpoint; None, and the observer is told why, where it cannot be gone on from."""
        try:
            found = self.checkpoints.load()
            if found is None:
                return None
            tensors, progress = found
            if progress.phase >= len(self.spec.phases):
                raise self.checkpoints.damaged(
                    f"it goes on in phase {progress.phase + 1}, which there is not"
                )
            phase = self.spec.phases[progress.phase]
            learners = [n for n in self._validated(phase) if n in progress.best]
            best = {
                f"best.{n}.{name}": t
                for n in learners
                for name, t in self.models[n].state_dict().items()
            }
            kept = {name: t for name, t in tensors.items() if not name.startswith("optimiser.")}
            wrong = mismatch(self._trained() | best, kept)
            if wrong:
                raise self.checkpoints.damaged(wrong)
        except ResultError as error:
            self.observer.message(f"{error}; the run begins anew")
            return None
        return found

    def _trained(self) -> dict[str, Tensor]:
        """Everything that training moves, by its name in a checkpoint."""
        tensors = {
            f"model.{n}.{name}": t
            for n, model in self.models.items()
            for name, t in model.state_dict().items()
        }
        for key, loss in self.experiment.losses.items():
            tensors |= {f"loss.{key}/{inner}": t for inner, t in loss.state_dict().items()}
        return tensors


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
