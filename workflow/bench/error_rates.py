"""How often a verdict claims what is not so, and finds what is: made-up studies, judged as real ones are.

`python workflow/bench/error_rates.py` prints two Markdown tables, each rate with its 95 % Clopper-Pearson interval.
Axes: s seeds, j students of a teacher, c cells.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.analysis.comparisons import student_rows
from lskd.analysis.family import CANNOT_TELL, NO_DIFFERENCE, Row, judged
from lskd.analysis.statistics import LEVEL
from lskd.analysis.students import SETTING, Cell, Students

DEGREES = (1.0, 2.0, 3.0, 64.0)
MARGIN = 0.5
DRAWS = {
    "normal": lambda random, shape: random.normal(size=shape),
    "heavy tails": lambda random, shape: random.standard_t(3, size=shape) / np.sqrt(3),
    "skewed": lambda random, shape: random.exponential(size=shape) - 1,
}


@dataclass(frozen=True)
class Population:
    """What made-up studies are drawn from: true effects of smoothing (points) at each T, noise, and its shape.

    `shared` is the part of the variance that all cells of one teacher share; `growth` scales the noise at T = 64.
    """

    seeds: int
    students: int = 1
    noise: str = "normal"
    shared: float = 0.0
    growth: float = 1.0
    spread: float = 0.3
    effects: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)

    @property
    def means(self) -> dict[Cell, float]:
        """The true top-1 of each cell."""
        return {
            (a, t): 90 + bool(a) * effect
            for a, (t, effect) in product((0.0, 0.1), zip(DEGREES, self.effects, strict=True))
        }

    def draw(self, random: np.random.Generator) -> Students:
        """One study of it."""
        means = self.means
        shape = (self.seeds, self.students, len(means))
        scale_c = np.array([self.growth if t == DEGREES[-1] else 1.0 for _, t in means])
        points = {}
        for split in ("val", "test"):
            draw = DRAWS[self.noise]
            of_teacher = np.repeat(draw(random, (self.seeds, 1, 2)), len(DEGREES), axis=2)
            noise_sjc = np.sqrt(self.shared) * of_teacher + np.sqrt(1 - self.shared) * draw(random, shape)
            of_seed = 2 * random.normal(size=(self.seeds, 1, 1))
            points[split] = np.array(list(means.values())) + of_seed + self.spread * scale_c * noise_sjc
        return Students(dict.fromkeys(SETTING, ""), list(range(self.seeds)), list(means), points, "top1", {})


def false_claims(population: Population, rows: list[Row]) -> set[str]:
    """The questions of which something is claimed that is not so.

    That is a difference of another sign or of none, no difference where there is one, or a set of the best on val that
    holds none of the true best.
    """
    wrong = {row["question"] for row in rows if row["question"] != "best on val" and _is_false(population, row)}
    against_best = [row for row in rows if row["question"] == "best on val"]
    lowest = min((_truth(population, row) for row in against_best if row["verdict"] == "left out"), default=0.0)
    kept = min((_truth(population, row) for row in against_best if row["verdict"] != "left out"), default=0.0)
    return wrong | ({"best on val"} if lowest < min(kept, 0.0) - 1e-9 else set())


def _is_false(population: Population, row: Row) -> bool:
    if row["verdict"] == CANNOT_TELL:
        return False
    if row["question"] == "omnibus":
        return len(set(population.effects)) == 1
    if row["verdict"] == NO_DIFFERENCE:
        return abs(_truth(population, row)) >= row["margin"] - 1e-9
    return _truth(population, row) * row["mean"] <= 1e-9


def _truth(population: Population, row: Row) -> float:
    """The true value of a row's mean."""
    return sum(weight * population.means[cell] for cell, weight in row["behind"][1].items())


def claims(population: Population, random: np.random.Generator, level: float = LEVEL) -> list[Row]:
    """The judged rows of one made-up population."""
    return judged(student_rows(population.draw(random), MARGIN), level)


def rate(hits: int, trials: int) -> tuple[float, float, float]:
    """A rate with its 95 % interval (Clopper and Pearson 1934)."""
    from scipy.stats import binomtest

    interval = binomtest(hits, trials).proportion_ci(0.95, method="exact")
    return hits / trials, interval.low, interval.high


NULL = [Population(n, students) for n in (3, 5, 10) for students in (1, 2)]
OTHERS = [
    Population(5, noise="heavy tails"),
    Population(10, noise="heavy tails"),
    Population(5, noise="skewed"),
    Population(10, noise="skewed"),
    Population(5, shared=0.7),
    Population(10, 2, shared=0.7),
    Population(5, growth=4.0),
    Population(10, growth=4.0),
    Population(10, effects=(0.5, 0.5, 0.5, 0.5)),
    Population(10, effects=(0.0, -0.5, 0.5, -0.5)),
    Population(10, effects=(0.0, 0.0, 0.0, -3.0)),
    Population(10, effects=(0.5, 0.5, 0.5, 0.5), spread=0.1),
    Population(20, effects=(0.5, -0.5, 0.0, 1.0), spread=0.2),
]
POWERED = [Population(n, spread=spread) for n in (3, 5, 10, 20) for spread in (0.1, 0.3)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000)
    studies = parser.parse_args().studies
    print("| seeds | students | noise | effects at T = 1, 2, 3, 64 | spread | any false claim | 95 % interval |")
    print("|--:|--:|:--|:--|--:|--:|:--|")
    for population in [*NULL, *OTHERS]:
        random = np.random.default_rng(1)
        hits = sum(bool(false_claims(population, claims(population, random))) for _ in range(studies))
        share, low, high = rate(hits, studies)
        effects = ", ".join(f"{effect:g}" for effect in population.effects)
        shape = f"{population.seeds} | {population.students} | {noise_text(population)}"
        print(f"| {shape} | {effects} | {population.spread:g} | {share:.1%} | {low:.1%} to {high:.1%} |", flush=True)
    print("\n| seeds | spread | effect said to be found with 80 % power | found | 95 % interval |")
    print("|--:|--:|--:|--:|:--|")
    for population in POWERED:
        said, hits = power(population, studies)
        share, low, high = rate(hits, studies)
        shape = f"{population.seeds} | {population.spread:g}"
        print(f"| {shape} | {said:.2f} | {share:.1%} | {low:.1%} to {high:.1%} |", flush=True)


def power(population: Population, studies: int) -> tuple[float, int]:
    """The effect at one T that is said to be found, of the true spread, and in how many studies it is."""
    from lskd.analysis.statistics import detectable

    own = LEVEL / claims(population, np.random.default_rng(0))[0]["claims"]
    effect = float(detectable(np.sqrt(2) * population.spread, population.seeds, own))
    random, real = np.random.default_rng(2), replace(population, effects=(effect, 0.0, 0.0, 0.0))
    return effect, sum(claims(real, random)[0]["verdict"] == "helps" for _ in range(studies))


def noise_text(population: Population) -> str:
    """What is special about a study's noise."""
    shared = f", {population.shared:.0%} shared by a teacher's students" if population.shared else ""
    return population.noise + shared + (f", {population.growth:g} times at T = 64" if population.growth != 1 else "")


if __name__ == "__main__":
    main()
