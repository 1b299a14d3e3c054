"""The training loop: phases, epochs, steps, validation and checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from distillbench.config.schedule_rules import changed_by
from distillbench.data.batches import Batch, batches, shuffled
from distillbench.errors import ResultError, StoppedError, TrainingError
from distillbench.evaluation.evaluate import evaluate
from distillbench.evaluation.metric_set import MetricSet
from distillbench.interfaces import Phase
from distillbench.networks import Model
from distillbench.seeds import derive, seed_torch
from distillbench.training import phase_starts
from distillbench.training.build import Experiment, build_network
from distillbench.training.callbacks import SILENT, Observer
from distillbench.training.checkpoint import Checkpoints, Progress, mismatch
from distillbench.training.objective import Objective
from distillbench.training.optimizer import Optimizer
from distillbench.training.teacher_store import TeacherStore, is_shareable, phase_key

V = TypeVar("V")

_FINITE_CHECK_STEPS = 20  # steps between checks of the loss sums: each check waits for the device


@dataclass(frozen=True)
class Fitted:
    """What training returns besides the weights.

    history: one row per epoch.
    seconds: the time spent in training steps, including those before a resumed checkpoint.
    """

    history: list[dict[str, Any]]
    seconds: float


def fit(
    experiment: Experiment,
    metrics: MetricSet,
    teachers: TeacherStore,
    checkpoints: Checkpoints,
    observer: Observer = SILENT,
    bounds: Sequence[float] = (),
) -> Fitted:
    """Trains a run's networks in place.

    Each learner ends every phase with the weights of its best epoch. The first of the metrics
    chooses that epoch, on the validation split.

    Several processes iterate over the same batches in the same order and share the rows of each.
    They always have the same weights. Only the main process writes files and calls the observer.

    bounds: what the reported network must have reached on validation videos by each epoch of the
        last phase, from the first on; the higher the better.

    Raises `TrainingError` if a loss becomes NaN or infinite, `StoppedError` where a bound was not
    reached.
    """
    return _Loop(experiment, metrics, teachers, checkpoints, observer, bounds).run()


class _Loop:
    def __init__(
        self,
        experiment: Experiment,
        metrics: MetricSet,
        teachers: TeacherStore,
        checkpoints: Checkpoints,
        observer: Observer,
        bounds: Sequence[float],
    ) -> None:
        self.experiment, self.bounds = experiment, bounds
        self.spec = experiment.spec
        self.models = experiment.models
        self.processes = experiment.processes
        self.metrics = metrics
        self.teachers = teachers
        self.checkpoints = checkpoints if self.processes.is_main else Checkpoints(None, "")
        self.observer = observer if self.processes.is_main else SILENT
        self.videos = len(experiment.splits.train)
        self.batch_size = self.spec.training.batch_size
        self.steps_per_epoch = math.ceil(self.videos / self.batch_size)
        self.progress = Progress()
        self.best_weights: dict[str, Tensor] = {}
        self.optimizer_state: dict[str, Tensor] | None = None

    # ------------------------------------------------------------------ phases, epochs and steps

    def run(self) -> Fitted:
        """Runs all phases, from the last checkpoint on if there is one."""
        is_resuming = self._resume()
        while self.progress.phase < len(self.spec.phases):
            phase = self.spec.phases[self.progress.phase]
            if is_resuming:
                # The checkpoint has this phase's weights: drawing or copying them would undo it.
                self._run_phase(phase)
                is_resuming = False
            else:
                phase_starts.begin(phase, self.models, self._fresh_network)
                if not self._load_stored(phase):
                    self._run_phase(phase)
            self._go_to_next_phase()
        return Fitted(self.progress.history, self.progress.seconds)

    def _run_phase(self, phase: Phase) -> None:
        phase_starts.set_modes(phase, self.models)
        objective = Objective(self.experiment, phase, self.teachers.output_cache, self.observer)
        optimizer = self._optimizer(phase, objective)
        finished_steps = self.progress.epoch * self.steps_per_epoch + self.progress.step
        self.observer.phase_started(phase.name, phase.epochs, self.steps_per_epoch, finished_steps)
        while self.progress.epoch < phase.epochs and not self._has_converged():
            epoch = self.progress.epoch
            started = time.perf_counter()
            self._train_epoch(phase, epoch, optimizer, objective)
            seconds = time.perf_counter() - started
            row = self._validate(phase, epoch, optimizer, seconds)
            self.progress.history.append(row)
            self.progress.epoch = epoch + 1
            self.progress.step = 0
            self.progress.sums = {}
            self.observer.epoch_ended(row)
            self._stop_if_behind()
            self._save_checkpoint(optimizer)
        if self.progress.epoch < phase.epochs:
            self.observer.message(
                f"phase '{phase.name}' ends after {self.progress.epoch} of {phase.epochs} epochs: "
                f"nothing became better in the last {self.spec.training.patience}"
            )
        self._finish_phase(phase)

    def _stop_if_behind(self) -> None:
        """Raises `StoppedError` where the reported network was to be better by now."""
        epoch, is_last = self.progress.epoch, self.progress.phase == len(self.spec.phases) - 1
        if not is_last or epoch > len(self.bounds):
            return
        worth, _ = self.progress.best.get(self.spec.reports, (math.inf, epoch))
        if worth < self.bounds[epoch - 1]:
            raise StoppedError(
                f"stopped after epoch {epoch}: {worth:.4f} at best on validation videos, where "
                f"{self.bounds[epoch - 1]:.4f} was to be reached",
                worth,
            )

    def _has_converged(self) -> bool:
        """Tells whether no network of the phase became better in the last epochs.

        A resumed phase asks this too, so that it ends where it would have ended.
        """
        patience, epochs = self.spec.training.patience, self.progress.epoch
        best = [epoch for _, epoch in self.progress.best.values()]
        return bool(patience and best) and epochs - (max(best) + 1) >= patience

    def _train_epoch(
        self, phase: Phase, epoch: int, optimizer: Optimizer, objective: Objective
    ) -> None:
        """Makes the steps of an epoch that are left."""
        sums = self._sums_on_device()
        source = self._batches(phase, epoch, objective)
        started = time.perf_counter()
        for step, batch in enumerate(source, start=self.progress.step):
            # A seed for each step: a resumed run draws the dropout of an uninterrupted one.
            seed_torch(derive(self.spec.seed, phase.name, epoch, step))
            progress = (epoch + step / self.steps_per_epoch) / phase.epochs
            loss = objective(batch, sums, progress)
            examples_before = epoch * self.videos + step * self.batch_size
            optimizer.step(loss, examples_before)
            objective.after_step()
            phase_starts.follow(phase, self.models)
            self.progress.step = step + 1
            self.observer.step_ended()
            is_due = self.checkpoints.due()
            if is_due or step % _FINITE_CHECK_STEPS == 0:
                self._check_finite(phase, epoch, sums)
            if is_due:
                self.progress.sums = {name: float(total) for name, total in sums.items()}
                self.progress.seconds += time.perf_counter() - started
                started = time.perf_counter()
                self._save_checkpoint(optimizer)
        self.progress.seconds += time.perf_counter() - started
        self._check_finite(phase, epoch, sums)
        self.progress.sums = {name: float(total) for name, total in sums.items()}

    def _batches(self, phase: Phase, epoch: int, objective: Objective) -> Iterator[Batch]:
        """Yields the shuffled batches of an epoch that are left."""
        train = self.experiment.splits.train
        # By the phase's name: its number differs between schedules that share a stored teacher.
        order = shuffled(len(train), self.spec.seed, phase.name, epoch)
        return batches(
            train,
            order,
            self.batch_size,
            objective.views,
            epoch=epoch,
            skip=self.progress.step,
            processes=self.processes,
            device=self.experiment.device,
            mixup=objective.mixup,
        )

    def _sums_on_device(self) -> dict[str, Tensor]:
        """Copies the running sums to the device, where adding a term does not wait for it."""
        device = self.experiment.device
        return {
            # float64: a checkpoint holds them as Python floats, which must lose no bit.
            name: torch.tensor(total, dtype=torch.float64, device=device)
            for name, total in self.progress.sums.items()
        }

    def _check_finite(self, phase: Phase, epoch: int, sums: Mapping[str, Tensor]) -> None:
        bad_terms = []
        for name, total in sums.items():
            if not math.isfinite(total):
                learner, _, term = name.partition("/")
                bad_terms.append(f"the {learner}'s '{term}'")
        if not bad_terms:
            return
        saved = "no epoch was finished"
        if epoch and self.checkpoints.path:
            saved = f"epoch {epoch} is saved in {self.checkpoints.path}"
        raise TrainingError(
            f"phase '{phase.name}', epoch {epoch + 1}: {', '.join(bad_terms)} became NaN or "
            f"infinite; {saved}. A smaller --set training.learning_rate or weight of that term "
            "usually helps"
        )

    def _finish_phase(self, phase: Phase) -> None:
        """Restores the best weights, and stores the phase if other runs may use it."""
        phase_starts.end(phase, self.models)
        for network in self._validated(phase):
            weights = _with_prefix(f"{network}.", self.best_weights)
            if weights:
                self.models[network].load_state_dict(weights)
        number = self.progress.phase
        if not is_shareable(self.spec, number) or not self.processes.is_main:
            return
        rows = [row for row in self.progress.history if row["phase"] == phase.name]
        key = phase_key(self.experiment, number)
        try:
            self.teachers.keep(key, self._changed_weights(phase), rows)
        except ResultError as error:
            # A full disk must not end the run: the much smaller result may still fit.
            self.observer.message(f"the teacher is not stored: {error}")

    def _go_to_next_phase(self) -> None:
        self.progress.phase += 1
        self.progress.epoch = 0
        self.progress.step = 0
        self.progress.sums = {}
        self.progress.best = {}
        self.best_weights = {}

    # ------------------------------------------------------------- what a phase starts with

    def _fresh_network(self, network: str) -> Model:
        """Builds a network with weights drawn for the current phase alone."""
        phase = self.spec.phases[self.progress.phase]
        model, _ = build_network(self.spec, self.experiment.splits, network, phase.name)
        return model

    def _optimizer(self, phase: Phase, objective: Objective) -> Optimizer:
        parameters = phase_starts.learning_parameters(phase, self.models)
        overrides = {}
        for name in parameters:
            learner, _, _ = name.partition(".")
            overrides[name] = phase.learners[learner].optimizer
        groups: list[Mapping[str, Any]] = []
        for key in objective.losses:
            loss = self.experiment.losses[key]
            _, _, loss_name = str(key).partition(".")
            for inner_name, parameter in loss.named_parameters():
                parameters[f"{key.learner}.loss.{loss_name}.{inner_name}"] = parameter
            groups += loss.optimizer_groups()
        penalized = []
        for learner in phase.learners:
            for parameter in self.models[learner].head.parameters():
                if parameter.dim() > 1:
                    penalized.append(parameter)
        optimizer = Optimizer(
            parameters,
            penalized,
            self.spec.training,
            self.processes,
            overrides=overrides,
            groups=groups,
        )
        if self.optimizer_state is not None:
            optimizer.restore(self.optimizer_state)
            self.optimizer_state = None
        return optimizer

    def _load_stored(self, phase: Phase) -> bool:
        """Loads what another run trained in the same phase; returns whether there was one."""
        number = self.progress.phase
        if not is_shareable(self.spec, number):
            return False
        key = phase_key(self.experiment, number)
        expected = self._changed_weights(phase)
        # The main process alone reads the store: another one might find a file a moment later.
        stored = self.processes.broadcast(
            lambda: self.teachers.find(key, expected, self.observer.message)
        )
        if stored is None:
            return False
        for network in changed_by(phase):
            weights = _with_prefix(f"{network}.", stored.weights)
            self.models[network].load_state_dict(weights)
        self.progress.history += stored.history
        for row in stored.history:
            self.observer.epoch_ended(row)
        names = " and ".join(f"the {network}" for network in phase.learners)
        verb = "was" if len(phase.learners) == 1 else "were"
        self.observer.message(f"{names} {verb} trained before ({key}); --retrain trains again")
        return True

    def _changed_weights(self, phase: Phase) -> dict[str, Tensor]:
        """Returns the weights of the networks that a phase changes, by network and name."""
        weights = {}
        for network in sorted(changed_by(phase)):
            for name, tensor in self.models[network].state_dict().items():
                weights[f"{network}.{name}"] = tensor
        return weights

    # ------------------------------------------------------------------------------- validation

    def _validate(
        self, phase: Phase, epoch: int, optimizer: Optimizer, seconds: float
    ) -> dict[str, Any]:
        """Evaluates an epoch's networks, keeps the best weights and returns the history row."""
        networks: dict[str, Any] = {}
        for network in self._validated(phase):
            metrics = self._evaluate(network)
            self._keep_if_best(network, metrics, epoch)
            sums = _with_prefix(f"{network}/", self.progress.sums)
            _, best_epoch = self.progress.best[network]
            networks[network] = {
                "terms": {term: total / self.videos for term, total in sums.items()},
                "validation": metrics,
                "best": best_epoch + 1,
            }
        examples = (epoch + 1) * self.videos
        return {
            "phase": phase.name,
            "epoch": epoch + 1,
            "examples": examples,
            "steps": self.progress.step * (epoch + 1),
            "seconds": seconds,
            "learning_rate": optimizer.learning_rate(examples),
            "networks": networks,
        }

    def _validated(self, phase: Phase) -> list[str]:
        """Lists the networks whose best epoch is kept: learners, and a reported average."""
        reported = [name for name in phase.averages if name == self.spec.reports]
        return [*phase.learners, *reported]

    def _evaluate(self, network: str) -> dict[str, float | None]:
        """Computes the metrics of a network on the validation split."""
        evaluation = evaluate(
            self.models[network],
            self.experiment.splits.validation,
            self.experiment.evaluation_views[network],
            self.batch_size,
            self.experiment.device,
            self.metrics,
            self.metrics.each_epoch,
            warn=self.observer.message,
            processes=self.processes,
        )
        return dict(evaluation.metrics)

    def _keep_if_best(self, network: str, metrics: Mapping[str, float | None], epoch: int) -> None:
        worth = self.metrics.worth(metrics)
        best = self.progress.best.get(network)
        # The first epoch counts even if its metric is None, so that there are weights to restore.
        is_better = best is None or worth > best[0]
        if not is_better:
            return
        self.progress.best[network] = (worth, epoch)
        for name, tensor in self.models[network].state_dict().items():
            self.best_weights[f"{network}.{name}"] = tensor.detach().cpu().clone()

    # ------------------------------------------------------------------------------ checkpoints

    def _save_checkpoint(self, optimizer: Optimizer) -> None:
        tensors = self._trained_tensors()
        for name, tensor in self.best_weights.items():
            tensors[f"best.{name}"] = tensor
        for name, tensor in optimizer.state().items():
            tensors[f"optimizer.{name}"] = tensor
        try:
            self.checkpoints.save(tensors, self.progress)
        except ResultError as error:
            # A full disk must not end the run: the much smaller result may still fit.
            self.observer.message(f"no checkpoint was saved: {error}")

    def _resume(self) -> bool:
        """Restores the last checkpoint; returns whether there was one."""
        checkpoint = self.processes.broadcast(self._valid_checkpoint)
        if checkpoint is None:
            return False
        tensors, self.progress = checkpoint
        for network, model in self.models.items():
            model.load_state_dict(_with_prefix(f"model.{network}.", tensors))
        for key, loss in self.experiment.losses.items():
            loss.load_state_dict(_with_prefix(f"loss.{key}/", tensors))
        self.best_weights = _with_prefix("best.", tensors)
        # The optimizer is built with its phase, after the modes are set.
        self.optimizer_state = _with_prefix("optimizer.", tensors)
        phase = self.spec.phases[self.progress.phase]
        self.observer.message(f"resuming phase '{phase.name}' after {self.progress.epoch} epochs")
        return True

    def _valid_checkpoint(self) -> tuple[dict[str, Tensor], Progress] | None:
        """Reads the last checkpoint; None, with a message, if it does not fit this run."""
        try:
            checkpoint = self.checkpoints.load()
            if checkpoint is not None:
                self._check_checkpoint(*checkpoint)
        except ResultError as error:
            self.observer.message(f"{error}; the run starts from the beginning")
            return None
        return checkpoint

    def _check_checkpoint(self, tensors: Mapping[str, Tensor], progress: Progress) -> None:
        if progress.phase >= len(self.spec.phases):
            reason = (
                f"it resumes in phase {progress.phase + 1}, and there are {len(self.spec.phases)}"
            )
            raise self.checkpoints.damaged(reason)
        phase = self.spec.phases[progress.phase]
        expected = self._trained_tensors()
        for network in self._validated(phase):
            if network in progress.best:
                for name, tensor in self.models[network].state_dict().items():
                    expected[f"best.{network}.{name}"] = tensor
        found = {}
        for name, tensor in tensors.items():
            # Adam has no state for a parameter without a gradient: its names are not known here.
            if not name.startswith("optimizer."):
                found[name] = tensor
        reason = mismatch(expected, found)
        if reason:
            raise self.checkpoints.damaged(reason)

    def _trained_tensors(self) -> dict[str, Tensor]:
        """Returns everything that training changes, by its name in a checkpoint."""
        tensors = {}
        for network, model in self.models.items():
            for name, tensor in model.state_dict().items():
                tensors[f"model.{network}.{name}"] = tensor
        for key, loss in self.experiment.losses.items():
            for name, tensor in loss.state_dict().items():
                tensors[f"loss.{key}/{name}"] = tensor
        return tensors


def _with_prefix(prefix: str, values: Mapping[str, V]) -> dict[str, V]:
    """Returns the entries whose name starts with a prefix, without it."""
    return {
        name.removeprefix(prefix): value
        for name, value in values.items()
        if name.startswith(prefix)
    }
