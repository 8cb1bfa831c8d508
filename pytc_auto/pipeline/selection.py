"""``pytc select``: the best model or ensemble of several runs, by the held-out metric."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pytc_auto.errors import OutputError, PlanError
from pytc_auto.pipeline.judging import Judged, check_comparable, judge
from pytc_auto.pipeline.lineage import told_of_start
from pytc_auto.pipeline.model_folder import differences
from pytc_auto.pipeline.runs import SELECTION, Run, find_runs
from pytc_auto.progress import Progress, silent
from pytc_auto.schema.model import DecoderChoice, ModelScores
from pytc_auto.schema.selection import Contender, SelectedMember, Selection


@dataclass(frozen=True)
class Selected:
    """What ``pytc select`` chose.

    Attributes:
        folder: A model folder for ``pytc predict --model``.
        selection: Its selection.json: what was chosen, and all that were compared, the best first.
    """

    folder: Path
    selection: Selection


@dataclass(frozen=True)
class _Candidate:
    """A model or several, and how they did."""

    members: tuple[Judged, ...]
    scores: ModelScores

    @property
    def rank(self) -> tuple[float, int]:
        """The best sorts first; of equal ones that with fewer members."""
        return -self.scores.search[self.scores.chosen].merit, len(self.members)


def select(
    what: Sequence[str | Path],
    *,
    runs: str | Path = "runs",
    out: str | Path | None = None,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Selected:
    """Compare single models, pairs of them and all together on the same held-out data, and export the best as one model folder.

    Models are averaged where their targets agree. A decoder is tuned for each candidate. All are judged by the weights of their
    folds, which have not seen the held-out data; weights that were refitted on all data are exported, but never judged.

    Args:
        what: Runs, a sweep's folder, a data folder (all runs planned from it), or model folders inside their runs.
        runs: Folder of all runs.
        out: Folder to write; ``selected`` in the folder of all runs by default. An earlier selection there is replaced.
        say: Told what is being done, and which model was started from one that knows the held-out data.
        progress: Told how far it is.

    Raises:
        PlanError: A run is not found or not trained, there is nothing to choose from, or the runs were not judged alike.
        ModelError: A model folder is not complete.
        DataError: The volumes cannot be read.
        OutputError: The output holds something else, or cannot be written.
    """
    target = Path(out) if out is not None else Path(runs) / "selected"
    _check_target(target)
    found = _trained(what, Path(runs), say)
    judged = [Judged.open(run, name) for run, name in zip(found, _names(found), strict=True)]
    check_comparable(judged)
    for one in judged:
        for number in one.held_out:
            if (told := told_of_start(one.run, number)) is not None:
                say(f"Careful: {one.name}, fold {number}, {told}")
    candidates = sorted(_candidates(judged, say, progress), key=lambda candidate: candidate.rank)
    selection = _selection(candidates)
    _write(target, candidates[0], selection)
    return Selected(target, selection)


def _check_target(target: Path) -> None:
    if target.exists() and not (target / SELECTION).is_file() and not (target.is_dir() and not any(target.iterdir())):
        raise OutputError(f"{target}: exists already and is no selection. Choose another --out, or delete it.")


def _trained(what: Sequence[str | Path], runs: Path, say: Callable[[str], None]) -> list[Run]:
    """Each run once; of a group those that are trained."""
    found: dict[Path, Run] = {}
    for argument in what:
        group = find_runs(argument, runs)
        trained = [run for run in group if (run.model / "scores.json").is_file()]
        left = ", ".join(run.name for run in group if run not in trained)
        if left and len(group) == 1:
            raise PlanError(f"{left}: is not trained to its end. Run 'pytc train {left}' first.")
        if left:
            say(f"Left out, not trained to their end: {left}")
        found |= {run.folder.resolve(): run for run in trained}
    if len(found) < 2:
        named = ", ".join(run.name for run in found.values()) or "no trained run"
        raise PlanError(f"there is nothing to choose from: only {named} is given. Name two trained runs at least, or a sweep.")
    return list(found.values())


def _names(runs: Sequence[Run]) -> list[str]:
    """A name for each run; those that share one have that of their folder, too."""
    counts = Counter(run.name for run in runs)
    names = [run.name if counts[run.name] == 1 else f"{run.folder.resolve().parent.name}-{run.name}" for run in runs]
    return [name if names.count(name) == 1 else f"{name}-{number}" for number, name in enumerate(names)]


def _candidates(judged: Sequence[Judged], say: Callable[[str], None], progress: Progress) -> list[_Candidate]:
    """Every model alone, then those that can predict together: the pairs, and all where there are more."""
    singles = [_judged((one,), say, progress) for one in judged]
    ranked = [single.members[0] for single in sorted(singles, key=lambda candidate: candidate.rank)]
    pairs = [pair for pair in itertools.combinations(ranked, 2) if _agree(*pair)]
    groups = dict.fromkeys(tuple(other for other in ranked if other is one or _agree(one, other)) for one in ranked)
    together = [*pairs, *(group for group in groups if len(group) > 2)]
    left = [f"{a.name} and {b.name}" for a, b in itertools.combinations(ranked, 2) if not _agree(a, b)]
    if left:
        say(f"Not averaged, their targets differ: {', '.join(left)}")
    return [*singles, *(_judged(members, say, progress) for members in together)]


def _judged(members: tuple[Judged, ...], say: Callable[[str], None], progress: Progress) -> _Candidate:
    say(f"Scoring {' + '.join(member.name for member in members)}")
    return _Candidate(members, judge(members, say, progress))


def _agree(one: Judged, other: Judged) -> bool:
    return not differences(one.model, other.model)


def _selection(candidates: Sequence[_Candidate]) -> Selection:
    best = candidates[0]
    alone = len(best.members) == 1
    return Selection(
        metric=best.scores.metric,
        folds=sorted(best.members[0].held_out),
        refit=any(ModelScores.load(member.run.model / "scores.json").refit for member in best.members),
        members=[SelectedMember(name=m.name, folder="." if alone else f"members/{m.name}") for m in best.members],
        decoder=_decoder(best),
        contenders=[_contender(candidate) for candidate in candidates],
    )


def _contender(candidate: _Candidate) -> Contender:
    folds = list(candidate.scores.folds.values())
    return Contender(
        members=[member.name for member in candidate.members],
        decoder=_decoder(candidate),
        merit=candidate.scores.search[candidate.scores.chosen].merit,
        scores={name: float(np.mean([fold[name] for fold in folds])) for name in folds[0]},
    )


def _decoder(candidate: _Candidate) -> DecoderChoice:
    chosen = candidate.scores.search[candidate.scores.chosen]
    return DecoderChoice(kind=chosen.kind, parameters=chosen.parameters)


def _write(target: Path, best: _Candidate, selection: Selection) -> None:
    """Copies of the members' model folders, with the decoder that was tuned for them; whole or not at all."""
    partial = target.with_name(f".{target.name}.part")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        for member, named in zip(best.members, selection.members, strict=True):
            shutil.copytree(member.run.model, partial / named.folder, dirs_exist_ok=True)
        selection.decoder.save(partial / "decoder.json")
        best.scores.replace(refit=selection.refit).save(partial / "scores.json")
        selection.save(partial / SELECTION)
        shutil.rmtree(target, ignore_errors=True)
        partial.replace(target)
    except OSError as error:
        raise OutputError(
            f"{target}: cannot be written ({error}). Make room or check the rights, or choose another --out."
        ) from error
