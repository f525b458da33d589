"""The one line on all jobs of an invocation: when they will be done, and how it is written."""

import io
import re
import time

import pytest

from lskd.jobs import live
from lskd.jobs.live import Line, Overview, Status
from tests.jobs.statuses import HOST, training, write
from tests.jobs.test_progress import run_on_pty

# The line: a study by a clock of its own


class Study:
    """Jobs of an invocation, run by a clock: what they write, and what an overview makes of it."""

    def __init__(self, tmp_path, costs):
        self.folder, self.results = tmp_path / "running", tmp_path
        self.overview = Overview(
            self.folder, [(address, cost, tmp_path / f"{address}.done") for address, cost in costs.items()]
        )

    def at(self, now, running=(), done=()):
        """Tick with the jobs `running` ({address: (step, first step)} of 1000) and those that came to be `done`."""
        for path in self.folder.glob("*.json"):
            path.unlink()
        for address, (step, first) in dict(running).items():
            write(self.folder, address, **training(step, 1000), first_step=first)
        for address in done:
            (self.results / f"{address}.done").touch()
        self.overview.tick(now)
        return self.overview.eta


def play(study, seconds_of, workers=2, until=1e9):
    """Run a study's jobs in order on some workers; yields (now, eta, when it really ended)."""
    plan, free = {}, [0.0] * workers
    for address in list(study.overview.costs):
        begin = min(free)
        free[free.index(begin)] = begin + seconds_of(address)
        plan[address] = begin, begin + seconds_of(address)
    for now in range(int(min(max(free), until)) + 1):
        running = {
            name: (int(1000 * (now - begin) / (end - begin)), 0)
            for name, (begin, end) in plan.items()
            if begin <= now < end
        }
        yield now, study.at(now, running, [name for name, (_, end) in plan.items() if end <= now]), max(free)


def test_the_eta_of_equal_jobs(tmp_path):
    study = Study(tmp_path, {f"j{n}": 3.0 for n in range(10)})
    errors = [abs(now + eta - end) for now, eta, end in play(study, lambda _: 60) if now > 5]
    assert len(errors) > 290 and max(errors) < 6  # of 300 seconds
    assert study.overview.text() == "10 of 10 jobs done"


def test_the_eta_follows_the_costs(tmp_path):
    costs = {f"j{n}": float(1 + n % 5) for n in range(20)}
    study = Study(tmp_path, costs)
    errors = [abs(now + eta - end) / end for now, eta, end in play(study, lambda name: 20 * costs[name]) if now > 30]
    assert max(errors) < 0.1


def test_the_eta_learns_a_new_speed(tmp_path):
    study = Study(tmp_path, {f"j{n}": 1.0 for n in range(200)})
    etas = {now: (eta, end) for now, eta, end in play(study, lambda name: 10 if int(name[1:]) < 60 else 40)}
    eta, end = etas[1200]
    assert abs(1200 + eta - end) < 0.05 * end
    eta, end = etas[290]
    assert eta < 0.5 * (end - 290)  # it cannot know yet


def test_the_eta_is_unknown_until_something_is_done(tmp_path):
    study = Study(tmp_path, {"a": 1.0, "b": 1.0})
    assert study.at(0) is None
    assert study.at(100, {"a": (0, 0)}) is None
    assert study.overview.text().endswith("0 of 2 jobs done, 1 running (run a epoch 1/100), ETA …")
    assert study.at(110, {"a": (100, 0)}) == pytest.approx(190)  # the 100 seconds before the first job do not count


def test_steps_of_an_earlier_process_are_no_work_of_this_one(tmp_path):
    study = Study(tmp_path, {"a": 1.0, "b": 1.0})
    study.at(0, {"a": (900, 900)})
    assert study.at(10, {"a": (950, 900)}) == pytest.approx(10 / 0.05 * 1.05)
    assert study.at(20, {}, ["a"]) == pytest.approx(20 / 0.1 * 1.0)


def test_a_job_that_fails_and_starts_again(tmp_path):
    study = Study(tmp_path, {"a": 1.0, "b": 1.0})
    study.at(0, {"a": (0, 0)})
    study.at(50, {"a": (500, 0)})
    assert study.at(60, {}) == pytest.approx(60 / 0.5 * 1.5)
    assert study.at(70, {"a": (0, 0)}) == pytest.approx(70 / 0.5 * 2)
    assert study.at(80, {"a": (100, 0)}) == pytest.approx(80 / 0.6 * 1.9)
    assert study.at(170, {}, ["a"]) is not None
    assert len(study.overview.costs) == 1


def test_a_stage_without_steps_counts_when_it_is_done(tmp_path):
    study = Study(tmp_path, {"a": 1.0, "b": 3.0})
    write(study.folder, "a")
    study.overview.tick(0)
    assert study.overview.eta is None
    assert study.at(10, {}, ["a"]) == pytest.approx(30)


def test_not_before_the_slowest_of_the_jobs_that_run(tmp_path):
    study = Study(tmp_path, {"a": 1.0, "b": 1.0})
    study.at(0, {"b": (0, 0)})
    write(study.folder, "b", **training(10, 1000), seconds_left=5000.0)
    (tmp_path / "a.done").touch()
    study.overview.tick(10)
    assert study.overview.eta == 5000


def test_jobs_of_another_invocation_are_left_out(tmp_path):
    study = Study(tmp_path, {"a": 1.0})
    study.at(0, {"other": (100, 0)})
    assert study.overview.text() == "0 of 1 jobs done, ETA …"


def test_a_job_is_done_when_all_its_files_exist(tmp_path):
    overview = Overview(tmp_path, [("a", 1.0, [tmp_path / "one", tmp_path / "two"])])
    (tmp_path / "one").touch()
    overview.tick(0)
    assert overview.costs
    (tmp_path / "two").touch()
    overview.tick(1)
    assert not overview.costs


def test_ten_thousand_jobs(tmp_path):
    """A tick takes less than 50 ms of a processor (the best of five), and all are found in turn."""
    study = Study(tmp_path, {f"j{n}": 1.0 for n in range(10_000)})
    running = {f"j{n}": (n, 0) for n in range(9_000, 9_016)}
    ticks = []
    for now in range(5):
        study.at(now, running)
        started = time.thread_time()
        study.overview.tick(now + 0.5)
        study.overview.text(120)
        ticks.append(time.thread_time() - started)
    assert min(ticks) < 0.05
    last = [f"j{n}" for n in range(9_000, 9_016)]
    study.at(10, {}, [])  # their files vanish: they are looked at first from now on, wherever the turn is
    study.at(11, {}, last)
    assert len(study.overview.costs) == 10_000 - 16
    (tmp_path / "j17.done").touch()  # was never seen to run
    for now in range(12, 600):
        study.overview.tick(now)
        if "j17" not in study.overview.costs:
            break
    assert "j17" not in study.overview.costs


def test_a_line_fits_its_width(tmp_path):
    study = Study(tmp_path, {f"j{n}": 1.0 for n in range(96)})
    for name in ("j4", "j5", "j6"):
        write(study.folder, name, title=f"resnet8-w4 T3 seed{name[1]}", **training(120, 300), images_per_second=2650.0)
    study.overview.tick(0)
    text = study.overview.text(110)
    assert text.startswith("0 of 96 jobs done, 3 running (resnet8-w4 T3 seed4 epoch 13/30, …), 7,950 images/s, ETA ")
    for width in range(200):
        assert len(study.overview.text(width)) <= width
    assert "(…T3 seed4 epoch 13/30, …)" in study.overview.text(78)
    assert study.overview.text(60).startswith("0 of 96 jobs done, 3 running, 7,950 images/s")


def test_a_quiet_training_is_told_first(tmp_path):
    """Its speed of long ago is not counted."""
    study = Study(tmp_path, {f"j{n}": 1.0 for n in range(6)})
    for name in ("j1", "j2", "j3", "j4"):
        write(study.folder, name, **training(10), images_per_second=100.0)
    write(study.folder, "j5", updated=time.time() - 200, **training(10), images_per_second=100.0)
    study.overview.tick(0)
    text = study.overview.text()
    assert text.startswith("0 of 6 jobs done, 5 running (run j5 epoch 2/10 quiet for 3 min, run j1 epoch 2/10, ")
    assert ", 400 images/s" in text
    assert "quiet for 3 min, …)" in study.overview.text(90)


def test_titles_that_say_nothing_more_than_an_end(tmp_path):
    assert live._cut("abcdef", 4) == "…def"
    assert live._cut("abcdef", 0) == ""


# The line as it is written


def numbers(text):
    return re.sub(r"\d+:\d\d", "M:SS", text)


def test_where_there_is_no_terminal_it_is_printed_now_and_then_and_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "_LINE_SECONDS", 0.2)
    out = io.StringIO()
    line = Line(tmp_path / "running", [("a", 1.0, tmp_path / "a"), ("b", 1.0, tmp_path / "b")], out, seconds=0.01)
    line.start()
    time.sleep(0.5)
    (tmp_path / "a").touch()
    line.stop()
    line.stop()
    lines = numbers(out.getvalue()).splitlines()
    assert lines[0] == "0 of 2 jobs done, ETA …"
    assert 2 <= len(lines) <= 4
    assert lines[-1] == "1 of 2 jobs done in M:SS"
    assert "\x1b" not in out.getvalue() and "\r" not in out.getvalue()


ON_A_TERMINAL = """
import json, os, sys, time
from pathlib import Path
from lskd.jobs.live import Line
from lskd.jobs.progress import report
place = Path({place!r})
line = Line(place / "running", [(name, 1.0, place / name) for name in "abc"], seconds=0.02)
line.start()
with report("glyphs/" + "x" * 200 + "/seed3", "a", 30, 300, 0, 64) as tell:
    time.sleep(0.2)
    print("another line", file=sys.stderr)
    time.sleep(0.2)
(place / "a").touch()
time.sleep(0.2)
{ending}
print("after", file=sys.stderr)
"""


def screen(written, columns):
    """What a terminal of so many columns shows: enough of one for carriage returns, new lines and erased ends."""
    lines, column = [""], 0
    for token in re.findall(r"\x1b\[K|\r|\n|[^\x1b\r\n]+", written):
        if token == "\r":
            column = 0
        elif token == "\n":
            lines.append("")
        elif token == "\x1b[K":
            lines[-1] = lines[-1][:column]
        else:
            lines[-1] = lines[-1][:column] + token + lines[-1][column + len(token) :]
            column += len(token)
            assert column <= columns
    return lines


def test_it_is_rewritten_in_place_on_a_terminal(tmp_path):
    (tmp_path / "running").mkdir()
    script = ON_A_TERMINAL.format(place=str(tmp_path), ending="line.stop()")
    # The training's own bar would be on this terminal too; its standard error is not one in a job of snakemake's.
    script = script.replace(
        "from lskd.jobs.progress import report", "from lskd.jobs import progress; report = progress.report"
    )
    script = script.replace("line.start()", "line.start(); progress.on_terminal = lambda stream: False")
    written, exit_status = run_on_pty(script, 90, LSKD_RUNNING=str(tmp_path / "running"))
    assert exit_status == 0
    assert re.search(r"\r\x1b\[K0 of 3 jobs done, 1 running \(…x+/seed3 epoch 1/30\), ETA …\r", written)
    assert written.count("\r\x1b[K") > 10
    lines = screen(written, 90)
    assert lines[0].startswith("another line")
    assert numbers(lines[1]) == "1 of 3 jobs done in M:SS"
    assert lines[2:] == ["after", ""]


def test_it_says_its_last_word_where_the_process_just_ends(tmp_path):
    (tmp_path / "running").mkdir()
    script = ON_A_TERMINAL.format(place=str(tmp_path), ending="sys.exit(3)")
    written, exit_status = run_on_pty(script, 90, LSKD_RUNNING=str(tmp_path / "running"))
    assert exit_status == 3
    assert numbers(screen(written[written.rindex("\r\x1b[K") :], 90)[0]) == "1 of 3 jobs done in M:SS"


class Broken(io.StringIO):
    def write(self, text):
        raise OSError("gone")


def test_nothing_reaches_the_caller(tmp_path, monkeypatch):
    closed = io.StringIO()
    closed.close()
    (tmp_path / "file").touch()
    monkeypatch.setattr(live, "_LINE_SECONDS", 0.0)
    for out in (Broken(), closed):
        line = Line(tmp_path / "file", [("a", 1.0, tmp_path / "a")], out, seconds=0.01)
        line.start()
        time.sleep(0.05)
        line.stop()


def test_no_jobs_no_line(tmp_path):
    out = io.StringIO()
    line = Line(tmp_path, [], out)
    line.start()
    line.stop()
    assert out.getvalue() == ""


def test_a_status_without_steps():
    status = Status("a", "a", HOST, 1, 0.0, 0.0)
    assert (status.fraction, status.first_fraction, status.quiet(1e9)) == (0.0, 0.0, 0.0)
