"""What each kind of figure needs of the runs that it shows: told when planning, as its own step comes after training.

The conditions are those at which its metrics or its table would end, or have nothing to show.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from lskd.errors import UserError
from lskd.study import registry

Row = dict[str, Any]  # of lskd/study/identity.py
SETTING = ("dataset", "lineage", "teacher_model", "model", "recipe", "soft_weight", "variant")  # as in analysis
PAIR = ("dataset", "teacher", "model", "recipe", "soft_weight", "variant", "seed", "student")  # as in metrics/diffusion
NETWORKS = ("dataset", "teacher_model", "model", "recipe")  # as in analysis/interventions
TRAINED = ("dataset", "role", "model", "recipe", "teacher_model", "temperature", "soft_weight", "variant")
REFERENCE = "reference_temperature"
SOFTENED = (1.0, 2.0, 3.0, 4.0, 8.0, 12.0, 16.0)  # as in metrics/smoothness
FIRST = 100  # classes that probabilities are measured of
SELECTING = {"gamma_curve", "probabilities", "soft_targets"}  # whose temperatures are those of softened teachers


@dataclass(frozen=True)
class Shown:
    """A figure as planned: its key, its kind and options, the rows of its runs, those of its groups at any T.

    `classes` tells the class names of each data set, as far as they are known.
    """

    where: str
    kind: str
    options: dict[str, Any]
    rows: list[Row]
    at_any_t: list[Row]
    classes: dict[str, tuple[str, ...]]

    @property
    def students(self) -> list[Row]:
        """The rows of students."""
        return [row for row in self.rows if row["role"] == "student"]

    def refuse(self, problem: str, option: str = "") -> UserError:
        """The line that says what is wrong, with its key."""
        return UserError(f"{self.where}{'.' if option else ''}{option}: {problem}")


def check(drawn: Shown) -> None:
    """UserError where a figure would fail, or show nothing, after everything is trained."""
    temperatures_are_there(drawn)
    for need in NEEDS.get(drawn.kind, ()):
        need(drawn)
    if "diffusion" in registry.FIGURES[drawn.kind].families:
        two_temperatures(drawn)


def temperatures_are_there(drawn: Shown) -> None:
    """`temperatures` names one at which a student of the groups was taught."""
    students = [row for row in drawn.at_any_t if row["role"] == "student"]
    degrees = _degrees(students)
    wanted = drawn.options.get("temperatures") or []
    if students and wanted and drawn.kind not in SELECTING and not set(wanted) & set(degrees):
        known = _listed(degrees) or "none; leave it out"
        raise drawn.refuse(f"found {_listed(wanted)}, but its students have T {known}", "temperatures")


def some_run(drawn: Shown) -> None:
    """There is a run to show."""
    if not drawn.rows:
        raise drawn.refuse("no run is left to show; name other groups, or leave temperatures out")


def a_student(drawn: Shown) -> None:
    """There is a student to show."""
    if not drawn.students:
        raise drawn.refuse(f"found no student, and {drawn.kind} shows students; name a group of them in groups")


def a_setting(drawn: Shown) -> None:
    """There is a network that something else than labels taught."""
    if not any(row["role"] == "student" or row["variant"] for row in drawn.rows):
        raise drawn.refuse(
            "found networks trained on labels alone, and settings are of others; name a group of students in groups"
        )


def labels_alone(drawn: Shown) -> None:
    """Each network is trained on labels without smoothing too, which the others are compared with."""
    for rows in _by(drawn.rows, ("dataset", "model", "recipe")):
        if not any(row["role"] != "student" and not row["variant"] and row["label_smoothing"] == 0 for row in rows):
            raise drawn.refuse(
                f"found {rows[0]['model']} on {rows[0]['dataset']} by {rows[0]['recipe']}, but not trained on labels"
                " without smoothing; add a group of it with label_smoothing 0, or name other groups"
            )


def hard_and_smooth(drawn: Shown) -> None:
    """Students of one setting have teachers with and without label smoothing."""
    by_setting = _by(drawn.students, SETTING)
    if not any({row["label_smoothing"] > 0 for row in rows} == {True, False} for rows in by_setting):
        alphas = sorted({row["label_smoothing"] for row in drawn.students})
        raise drawn.refuse(
            f"found students of teachers with label_smoothing {_listed(alphas) or 'no students'}; a verdict compares 0"
            " with another, of the same networks and recipes: add it to the teachers, name the students' group in"
            " groups, or leave the figure out"
        )


def with_and_without(drawn: Shown) -> None:
    """Some network was trained with and without label smoothing on the same data, or taught by such teachers."""
    by_network = _by(drawn.rows, TRAINED)
    if not any({row["label_smoothing"] > 0 for row in rows} == {True, False} for rows in by_network):
        alphas = sorted({row["label_smoothing"] for row in drawn.rows})
        raise drawn.refuse(
            f"found networks with label_smoothing {_listed(alphas) or 'none'}; a gain is of 0 and another of the same"
            " network, recipe and data: add it to their group"
        )


def teachers_shown(drawn: Shown) -> None:
    """The teacher of each student is shown."""
    titles = {row["run"] for row in drawn.rows}
    hidden = [row["teacher"] for row in drawn.students if row["teacher"] not in titles]
    if hidden:
        raise drawn.refuse(f"the teacher {hidden[0]} is not shown, whose accuracy is needed; add its group", "groups")


def interventions(drawn: Shown) -> None:
    """Students by kd of hard and smoothed teachers of the same networks share a T above 1; all teachers are shown."""
    variants = {row["run"]: row["variant"] for row in drawn.rows}
    hidden = [row["teacher"] for row in drawn.students if row["teacher"] not in variants]
    if hidden:
        raise drawn.refuse(f"the teacher {hidden[0]} is not shown, whose kind is needed; add its group", "groups")
    plain = [row for row in drawn.students if not row["variant"] and not variants[row["teacher"]]]
    _told_apart(drawn, plain, (*NETWORKS, "teacher"))
    shared = [degrees for rows in _by(plain, NETWORKS) if (degrees := _of_both(drawn, rows))]
    wanted = drawn.options.get(REFERENCE)
    for degrees in shared:
        if wanted and wanted not in degrees:
            raise drawn.refuse(
                f"found {wanted:g}, but both teachers' students share {_listed(degrees)}; name one of these", REFERENCE
            )
    if not shared or any(max(degrees) <= 1 for degrees in shared):
        raise drawn.refuse(
            "found no students by kd of a smoothed and an unsmoothed teacher at one T above 1; causes are about the gap"
            " between them: add 0 and another label_smoothing to the teachers and such a T to the students, or leave"
            " the figure out"
        )


def _of_both(drawn: Shown, rows: list[Row]) -> list[float]:
    """T that the students of hard and of smoothed teachers share, where there is one smoothing."""
    alphas = sorted({row["label_smoothing"] for row in rows if row["label_smoothing"] > 0})
    if len(alphas) > 1:
        raise drawn.refuse(f"found label_smoothing {_listed(alphas)}, and causes compares one with 0", "groups")
    hard, smooth = (_degrees(row for row in rows if (row["label_smoothing"] > 0) is of) for of in (False, True))
    return sorted({*hard} & {*smooth})


def rule_and_another(drawn: Shown) -> None:
    """Students of one setting have a smoothed teacher and T = 1, and others of it something else."""
    with_t = [row for row in drawn.students if row["temperature"] is not None]
    for rows in _by(with_t, SETTING):
        of_rule = {row["label_smoothing"] > 0 and row["temperature"] == 1 for row in rows}
        if of_rule == {True, False}:
            return
    raise drawn.refuse(
        f"found students at T {_listed(_degrees(with_t)) or 'none'}; {drawn.kind} takes students of a smoothed teacher"
        " at T = 1, and others of the same networks: add T 1 to a group's temperature"
    )


def told_apart(drawn: Shown) -> None:
    """No two students differ in nothing that a comparison tells apart."""
    _told_apart(drawn, drawn.students, (*SETTING, "label_smoothing"))


def _told_apart(drawn: Shown, rows: list[Row], keys: tuple[str, ...]) -> None:
    titles: dict[tuple[Any, ...], str] = {}
    for row in rows:
        key = tuple(row[name] for name in (*keys, "temperature", "seed", "student"))
        other = titles.setdefault(key, row["run"])
        if other != row["run"]:
            raise drawn.refuse(f"cannot tell {other} from {row['run']}; name in groups the group of one of them")


def three_classes(drawn: Shown) -> None:
    """Three classes, of a data set that has them."""
    names = drawn.options.get("classes") or []
    if names and (len(names) != 3 or len(set(names)) != 3):
        raise drawn.refuse(f"found {', '.join(names)}; name three: two similar ones, then a dissimilar one", "classes")
    _enough_classes(drawn, drawn.rows)
    _known_classes(drawn, drawn.rows, "classes", names)


def two_classes(drawn: Shown) -> None:
    """The two classes of mutual information, of a data set that has them; lskd/jobs/catalogue.py counts them."""
    _known_classes(drawn, drawn.rows, "classes", drawn.options.get("classes") or [])


def first_class(drawn: Shown) -> None:
    """The class whose soft targets are shown is one of the first 100."""
    names = (drawn.options.get("classes") or [])[:1]
    others = [row for row in drawn.rows if row["role"] != "student"] or drawn.rows
    datasets = {row["dataset"] for row in others}
    known = [drawn.classes.get(dataset) for dataset in sorted(datasets)]
    for name in names:
        if known and all(classes is not None and name not in classes[:FIRST] for classes in known):
            raise drawn.refuse(_no_class(name, known[0] or (), " and ".join(sorted(datasets))), "classes")


def at_t_1(drawn: Shown) -> None:
    """Probabilities are shown at T = 1."""
    if drawn.options.get("temperatures") and 1 not in drawn.options["temperatures"]:
        given = _listed(drawn.options["temperatures"])
        raise drawn.refuse(f"found {given}; probabilities are shown at 1: add it, or leave this out", "temperatures")


def gammas(drawn: Shown) -> None:
    """A curve has a run, and each student's teacher is shown and softened at the student's T."""
    with_t = [row for row in drawn.students if row["temperature"] is not None]
    students = [row for row in with_t if row["label_smoothing"] == 0 or row["temperature"] == 1]
    if not students and all(row["role"] == "student" for row in drawn.rows):
        raise drawn.refuse("no run is on a curve: name groups of teachers, or students of a teacher without smoothing")
    teachers = {row["run"] for row in drawn.rows if row["role"] == "teacher"}
    for row in students:
        if row["teacher"] not in teachers:
            raise drawn.refuse(
                f"the teacher {row['teacher']} is not shown, whose gamma is needed; add its group", "groups"
            )
    softened = drawn.options.get("temperatures") or SOFTENED
    missing = [degree for degree in _degrees(students) if degree not in softened]
    if missing:
        needed = _listed(sorted({*_degrees(students), *(drawn.options.get("temperatures") or ())}))
        raise drawn.refuse(
            f"students have T {_listed(missing)}, where the teachers' gamma is not measured; write [{needed}]",
            "temperatures",
        )


def two_temperatures(drawn: Shown) -> None:
    """eta compares students that differ in T alone; it takes three classes, and the T that are asked for."""
    asked = [name for name in ("t1", "t2", "targets", "similar") if drawn.options.get(name)]
    if drawn.kind != "diffusion" and (not asked or not drawn.students):
        return
    a_student(drawn)
    degrees = _degrees(drawn.students)
    if len(degrees) < 2:
        raise drawn.refuse(
            f"found students at T {_listed(degrees)} alone, and eta compares two; name another in temperature of"
            f" their group{' or leave out ' + ', '.join(asked) if drawn.kind != 'diffusion' else ''}"
        )
    _enough_classes(drawn, drawn.students)
    t1, t2 = _compared(drawn, degrees)
    pairs = _by(drawn.students, PAIR)
    if not any({t1, t2} <= set(_degrees(rows)) for rows in pairs):
        raise drawn.refuse(f"no teacher has the same student at both T {t1:g} and T {t2:g}; name such groups")
    _known_classes(drawn, drawn.students, "targets", drawn.options.get("targets") or [])
    _similar(drawn)


def _compared(drawn: Shown, degrees: list[float]) -> tuple[float, float]:
    """t1 and t2, given or the nearest to 1 and 3, as lskd/metrics/diffusion.py chooses them."""
    options = drawn.options
    for key in ("t1", "t2"):
        if options.get(key) and options[key] not in degrees:
            raise drawn.refuse(f"found {options[key]:g}, but its students have T {_listed(degrees)}", key)
    last = options.get("t2") or max(degrees)
    t1 = options.get("t1") or min((t for t in degrees if t < last), key=lambda t: abs(t - 1), default=last)
    t2 = options.get("t2") or min((t for t in degrees if t > t1), key=lambda t: abs(t - 3), default=t1)
    if t2 <= t1:
        key = "t2" if options.get("t2") else "t1"
        raise drawn.refuse(
            f"found t1 {t1:g} and t2 {t2:g}; t2 must be above t1: its students have T {_listed(degrees)}", key
        )
    return t1, t2


def _similar(drawn: Shown) -> None:
    """Each target's similar classes: some, not all, and not itself."""
    similar = drawn.options.get("similar") or {}
    _known_classes(drawn, drawn.students, "similar", similar)
    for target, names in similar.items():
        _known_classes(drawn, drawn.students, f"similar.{target}", names)
        counts = [len(drawn.classes[row["dataset"]]) for row in drawn.students if row["dataset"] in drawn.classes]
        is_all = any(len(set(names)) >= count - 1 for count in counts)
        if target in names or not names or is_all:
            listed = ", ".join(names) or "nothing"
            raise drawn.refuse(f"found {listed}; name one class or more, not all and not {target}", f"similar.{target}")


def _enough_classes(drawn: Shown, rows: list[Row]) -> None:
    """Every data set has three classes."""
    for dataset in sorted({row["dataset"] for row in rows}):
        names = drawn.classes.get(dataset)
        if names is not None and len(names) < 3:
            without = f"--config 'figures={{{drawn.where.rpartition('.')[2]}: null}}'"
            raise drawn.refuse(
                f"{dataset} has {len(names)} classes, and {drawn.kind} takes 3 or more; ask for other figures by name,"
                f" or leave it out: {without}"
            )


def _known_classes(drawn: Shown, rows: list[Row], option: str, names: Iterable[str]) -> None:
    """Every data set has these classes, as far as its classes are known."""
    for dataset in sorted({row["dataset"] for row in rows}):
        known = drawn.classes.get(dataset)
        for name in names if known is not None else ():
            if name not in (known or ()):
                leave = (
                    f"; or leave {option} out"
                    if option in ("classes", "targets") and drawn.kind != "information"
                    else ""
                )
                raise drawn.refuse(_no_class(name, known or (), dataset) + leave, option)


def _no_class(name: str, known: tuple[str, ...], dataset: str) -> str:
    near = get_close_matches(name, known, 1)
    some = ", ".join(known[:10]) + (", ..." if len(known) > 10 else "")
    return f"no class {name!r} in {dataset}; {f'did you mean {near[0]}?' if near else f'it has {some}'}"


def _degrees(rows: Iterable[Row]) -> list[float]:
    """The temperatures of students, ascending."""
    return sorted({float(row["temperature"]) for row in rows if row["temperature"] is not None})


def _by(rows: Iterable[Row], keys: tuple[str, ...]) -> list[list[Row]]:
    """The rows that agree in `keys`."""
    parts: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        parts[tuple(row[key] for key in keys)].append(row)
    return list(parts.values())


def _listed(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)


NEEDS: dict[str, tuple[Callable[[Shown], None], ...]] = {
    "accuracy_table": (some_run,),
    "best_smoothing": (some_run, labels_alone),
    "calibration_table": (some_run,),
    "causes": (interventions,),
    "classes_gain": (some_run, with_and_without),
    "clusters": (some_run, three_classes),
    "complexity": (some_run,),
    "data_card": (some_run,),
    "curves": (a_student,),
    "diffusion": (),  # two_temperatures, as for all that show eta
    "error_table": (some_run,),
    "gamma_curve": (some_run, gammas),
    "grid": (a_student,),
    "information": (some_run, two_classes),
    "inter_stability": (some_run,),
    "probabilities": (some_run, at_t_1),
    "projection": (some_run, three_classes),
    "projection_muller": (some_run, three_classes),
    "reliability": (some_run,),
    "settings": (a_setting,),
    "smoothed_loss": (),
    "soft_targets": (some_run, first_class),
    "stability": (some_run,),
    "summary": (a_student, told_apart, rule_and_another),
    "teacher_student": (a_student, teachers_shown),
    "verdict": (hard_and_smooth, told_apart),
    "bleu_curves": (some_run,),
    "decoding": (some_run,),
    "token_calibration_table": (some_run,),
    "token_reliability": (some_run,),
    "truncation": (a_student,),
}
