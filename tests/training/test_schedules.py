"""Learning rates against torch's own schedulers; batches and draws as pure functions."""

import warnings
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lskd.jobs.execute import resolve
from lskd.study import registry
from lskd.study.config import Recipe
from lskd.study.options import spec
from lskd.training.schedules import epoch_batches, lr_factor, pixel_key
from tests import small

STEPS = 7


def torch_rates(make, epochs: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(epochs * STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "step of the optimizer was never called": it has nothing to learn
            scheduler.step()
    return rates


def our_rates(**fields) -> list[float]:
    recipe = Recipe(**fields)
    schedule = resolve(registry.SCHEDULES[recipe.schedule].entry)
    return [lr_factor(spec(recipe), step, STEPS, schedule) for step in range(recipe.epochs * STEPS)]


CASES = [
    ({"schedule": "cosine"}, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 10 * STEPS)),
    ({"schedule": "linear"}, lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 1e-12, 10 * STEPS)),
    ({"schedule": "constant"}, lambda o: torch.optim.lr_scheduler.ConstantLR(o, 1.0)),
    (
        {"schedule": "step", "step_epochs": 3, "decay": 0.2},
        lambda o: torch.optim.lr_scheduler.StepLR(o, 3 * STEPS, 0.2),
    ),
    (
        {"schedule": "multistep", "milestones": [4, 7]},
        lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [4 * STEPS, 7 * STEPS], 0.1),
    ),
]


@pytest.mark.parametrize(("fields", "make"), CASES)
def test_rates_equal_torch(fields, make):
    assert our_rates(epochs=10, **fields) == pytest.approx(torch_rates(make, 10), abs=1e-9)


def test_every_schedule_is_tested():
    assert {fields["schedule"] for fields, _ in CASES} == set(registry.SCHEDULES)


@pytest.mark.parametrize(("fields", "make"), CASES)
def test_every_schedule_takes_a_warmup(fields, make):
    rates = our_rates(epochs=10, warmup_epochs=2, **fields)
    assert rates[: 2 * STEPS] == pytest.approx([(step + 1) / (2 * STEPS) for step in range(2 * STEPS)])
    if fields["schedule"] in ("step", "multistep"):  # their epochs are counted from the start of it all
        assert rates[2 * STEPS :] == pytest.approx(torch_rates(make, 10)[2 * STEPS :], abs=1e-9)
    else:
        assert rates[2 * STEPS] == pytest.approx(1)


def test_warmup_rises_to_the_full_rate_and_cosine_takes_the_rest():
    rates = our_rates(epochs=5, schedule="cosine", warmup_epochs=2)
    assert rates[: 2 * STEPS] == pytest.approx([(step + 1) / (2 * STEPS) for step in range(2 * STEPS)])
    expected = torch_rates(lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 3 * STEPS), 3)
    assert rates[2 * STEPS :] == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 2**31 - 1), st.integers(0, 1000), st.integers(1, 60), st.integers(1, 20))
def test_batches_are_a_permutation_without_a_last_one_of_one(seed, epoch, samples, size):
    batches = epoch_batches(seed, epoch, samples, size)
    assert sorted(torch.cat(batches).tolist()) == list(range(samples))
    assert all(len(batch) == size for batch in batches[:-1])
    if size > 1 and samples > 1:
        assert 2 <= len(batches[-1]) <= size + 1
    again = epoch_batches(seed, epoch, samples, size)
    assert all(torch.equal(a, b) for a, b in zip(batches, again, strict=True))


def test_batches_differ_between_epochs_and_seeds_and_leave_the_global_generator_alone():
    before = torch.random.get_rng_state()
    orders = [tuple(torch.cat(epoch_batches(seed, epoch, 50, 8)).tolist()) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_students_pixels_are_its_own_and_its_twins():
    """Twins: the students of a hard and of a smoothed teacher, whose logits differ and whose images do not."""
    hard, smooth = (small.teacher(labels={"label_smoothing": alpha}, seed=3) for alpha in (0.0, 0.1))
    student = small.student(hard)
    assert hard.spec["pixels"] == {"key": "digits", "seed": 3}
    assert student.spec["pixels"] == {"key": "digits", "seed": student.own_seed}
    assert pixel_key(student.spec) == pixel_key(small.student(smooth, how={"temperature": 64.0}).spec)
    others = [hard, small.teacher(seed=4), small.student(small.teacher(seed=4)), small.student(student)]
    others += [replace(student, student=1)]
    assert len({pixel_key(run.spec) for run in (student, *others)}) == 1 + len(others)
