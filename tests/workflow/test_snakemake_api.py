"""What the workflow uses of Snakemake beyond its documented words: named here, so that a new version tells."""

import importlib
import inspect
import re
import shlex
import threading
from types import SimpleNamespace

import pytest
from snakemake import (
    cli,  # first, as its modules import each other in a circle
    exceptions,
    profiles,
)
from snakemake.dag import DAG
from snakemake.exceptions import MissingRuleException
from snakemake.scheduling.job_scheduler import JobScheduler
from snakemake.workflow import Workflow

from lskd.jobs.in_thread import START
from tests.workflow.conftest import ROOT

RULES = "".join(path.read_text() for path in [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))])
USED = set(re.findall(r"\bworkflow\.(?!rst)(\w+)", RULES))
OPTIONS = {option for action in cli.get_argument_parser()._actions for option in action.option_strings}
KNOWN = {
    *("basedir", "config_settings", "configfiles", "dag_settings", "deployment_settings", "dryrun", "is_main_process"),
    *("output_settings", "overwrite_configfiles", "parent_groupids"),
}


def test_the_workflow_uses_what_is_named_here():
    assert USED == KNOWN


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_snakemake_has_it(name):
    assert (
        hasattr(Workflow, name)
        or f"self.{name}" in inspect.getsource(Workflow)
        or f"{name}:" in inspect.getsource(Workflow)
    )


def test_snakemakes_words_for_a_target_that_is_none():
    """workflow/rules/output.smk puts them in a line of lskd's, which names the nearest."""
    assert str(MissingRuleException("a b")).startswith("No rule to produce a b (if you use input")
    assert "exception=ex.__class__.__name__" in inspect.getsource(exceptions.print_exception)
    assert "Target rules may not contain wildcards" in inspect.getsource(DAG)


def test_a_profile_may_hold_definitions():
    """workflow/profiles/default/profile.yaml looks at the command line in one, before Snakemake reads any config."""
    assert "yte.process_yaml(stream, require_use_yte=True)" in inspect.getsource(profiles.ProfileConfigFileParser)
    assert 'if val == "":' in inspect.getsource(cli.parse_config)
    assert [option for option in ("--config", "--configfile", "--mode") if option not in OPTIONS] == []


def test_the_check_that_is_left_out_is_for_folders_and_no_rule_has_one():
    assert "directory output" in DAG.check_directory_outputs.__doc__
    assert "directory(" not in RULES


def test_snakemakes_shell_starts_a_job_as_lskd_jobs_in_thread_expects_it(monkeypatch):
    started = []

    def popen(command, **options):
        started.append((command, options))
        return SimpleNamespace(pid=1, wait=lambda: 0)

    module = importlib.import_module("snakemake.shell")
    monkeypatch.setattr(module, "sp", SimpleNamespace(Popen=popen, PIPE=-1, CalledProcessError=RuntimeError))
    module.shell("python -m lskd.jobs.run {log:q}", log="results/runs/one two/train.log")
    ((command, options),) = started
    assert shlex.split(command) == [*START, "results/runs/one two/train.log"]
    assert options["shell"] and "PATH" in options["env"]
    assert all("python -m lskd.jobs.run {log:q}" in part for part in RULES.split("    shell:\n")[1:])


def test_snakemake_looks_at_ready_jobs_by_what_is_replaced():
    """workflow/rules/common.smk: a timer at a time, where Snakemake begins another with each look."""
    looks = inspect.getsource(JobScheduler.schedule)
    assert looks.count("self._schedule_reevalutation(self.job_rate_limiter.timespan)") == 1
    assert "self._open_jobs.acquire()" in looks
    assert inspect.signature(JobScheduler._schedule_reevalutation).parameters.keys() == {"self", "delay"}


def test_one_look_is_waited_for_at_a_time_and_the_next_may_be_asked_for_when_it_comes():
    text = (ROOT / "workflow/rules/common.smk").read_text()
    defined = {"threading": threading, "IS_TO_LOOK": threading.Event()}
    exec(text[text.index("def look_again") : text.index("# No rule has a folder")], defined)
    scheduler = SimpleNamespace(_open_jobs=threading.Semaphore(0))
    for _ in range(3):
        for _ in range(5):
            defined["look_again"](scheduler, 0.05)
        assert scheduler._open_jobs.acquire(timeout=30)
        assert not defined["IS_TO_LOOK"].is_set() and not scheduler._open_jobs.acquire(blocking=False)
