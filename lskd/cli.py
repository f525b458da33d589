"""The command line, beside `snakemake`: what lies in the results, why, of what, and whether it is whole. No torch."""

import argparse
import importlib.util
import json
import os
import sys
import traceback
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from lskd.errors import UserError
from lskd.version import VERSION

if TYPE_CHECKING:
    from lskd.io.seal import Record
    from lskd.jobs.adopt import Check
    from lskd.jobs.gc import Named
    from lskd.jobs.listing import Entry
    from lskd.jobs.plan import Plan

DEFAULT_CONFIG = "config.yaml"
HELP = {  # command -> what it does, an example
    "why": ("what is to do and why, or why a file is of today's plan or not", "why verdict"),
    "ls": ("what lies in results, and whether today's studies use it", "ls digits/resnet8-w4"),
    "verify": ("compare every file of every result with its seal", "verify"),
    "adopt": ("accept results of other code for today's code, with a record", "adopt verdict --yes"),
    "gc": ("list what no study names at any scale; --delete removes it", "gc --delete"),
    "register": ("write down what a study will claim, before its test numbers exist", "register --config scale=small"),
    "lineage": (
        "every job behind a file, or --row N of its numbers, down to the data",
        "lineage results/figures/demo/ls_kd/grid.png",
    ),
    "pack": ("write a study's results into one file, to draw its figures elsewhere", "pack ls_kd"),
    "unpack": ("put the results of such a file beside those that are here", "unpack ls_kd-demo.zip"),
    "watch": ("which jobs run and how far they are", "watch"),
    "doctor": ("whether a SLURM cluster can run what site.yaml says, and what to mend", "doctor"),
}


class _Parser(argparse.ArgumentParser):
    """One whose mistakes are told in a line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {self.prog} --help shows what there is")


def main(arguments: list[str] | None = None) -> None:
    """Run a command; exit status 1 and one line for a mistake."""
    try:
        options = _parser().parse_args(arguments)
        sys.exit(options.command(options))
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("error: interrupted")
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        sys.exit(f"error: {error.filename or 'lskd'}: {error.strerror or error}")
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = " ".join(f"{type(error).__name__}: {error}".split())
        sys.exit(f"error: {what} ({place.filename}, line {place.lineno}); a mistake of lskd: please report it")


def _parser() -> argparse.ArgumentParser:
    width = max(len(example) for _, example in HELP.values())
    called = _called()
    examples = "\n".join(f"  {called} {example:<{width}}  {text}" for text, example in HELP.values())
    parser = _Parser(
        prog=called,
        description=f"Beside `snakemake`, in the folder of config.yaml and results:\n\n{examples}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="%(prog)s COMMAND ...",
    )
    parser.add_argument("--version", action="version", version=f"lskd {VERSION}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="COMMAND")
    common = _common()
    adders: dict[str, Callable[[argparse.ArgumentParser], Any]] = {
        "why": _add_why,
        "ls": _add_ls,
        "verify": _add_verify,
        "adopt": _add_adopt,
        "gc": _add_gc,
        "register": lambda _: None,
        "lineage": _add_lineage,
        "pack": _add_pack,
        "unpack": _add_unpack,
        "watch": lambda _: None,
        "doctor": _add_doctor,
    }
    for name, (text, example) in HELP.items():
        prog, epilog = f"{called} {name}", f"example: {called} {example}"
        parents = [] if name == "unpack" else [common]  # it reads no config
        part = commands.add_parser(name, prog=prog, parents=parents, description=text, epilog=epilog)
        part.set_defaults(command=globals()[f"_{name}"])
        adders[name](part)
    return parser


def _called() -> str:
    """How the command was called: installed as `lskd`, or from a checkout."""
    return "lskd" if Path(sys.argv[0]).name == "lskd" else "python -m lskd"


def _common() -> _Parser:
    common = _Parser(add_help=False)
    add = common.add_argument
    add("--configfile", action="append", default=[], metavar="FILE", help="a study instead of config.yaml")
    add("--config", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="laid over it, as for snakemake")
    add("--results", type=Path, default=Path("results"), metavar="DIR", help="the folder of results")
    return common


def _add_why(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TARGET|FILE", help="studies or figures by name, or files")


def _add_ls(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prefix", nargs="?", default="", metavar="TITLE-PREFIX", help="only titles that begin so")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders; all unless given")


def _add_adopt(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="studies or figures by name")
    parser.add_argument("--yes", action="store_true", help="do it; else only say what would be adopted")
    parser.add_argument(
        "--check", action="store_true", help="only what today's code makes to the same bits; needs torch"
    )
    parser.add_argument("--list", action="store_true", help="show what was adopted")
    parser.add_argument("--undo", metavar="ADDRESS|all", help="forget what was adopted for it")


def _add_gc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--delete", action="store_true", help="remove what is listed")
    parser.add_argument(
        "--keep", action="append", default=[], metavar="FILE", help="a config whose results are kept too"
    )


def _add_lineage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="of a result, published, or a copy of one")
    parser.add_argument("--row", type=int, metavar="N", help="of a figure's CSV, 1 being the first below its heading")
    parser.add_argument("--json", action="store_true", help="print the same as JSON")


def _add_pack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", nargs="?", metavar="STUDY", help="by name; the config's unless given")
    parser.add_argument("--with-logits", action="store_true", help="and what the networks say, to measure it anew")
    parser.add_argument("--with-data", action="store_true", help="and the prepared images, which that reads too")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="STUDY-SCALE.zip here, unless given")


def _add_unpack(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("archive", type=Path, metavar="ARCHIVE", help="what `pack` wrote")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="DIR", help="a checkout; this folder")


def _why(options: argparse.Namespace) -> int:
    from lskd.jobs import why

    plan = _plan(options)
    files = [name for name in options.targets if name not in plan.names and ("/" in name or Path(name).exists())]
    names = _targets(plan, [name for name in options.targets if name not in files])
    if names or not files:
        plan.ask(names, dry=True)
        lines = why.told(plan.pending or [], most=None)
        _say([*(lines or [f"nothing to do: all results of {', '.join(names or [plan.main.study])} are there"])])
        _say(plan.notes())
    for name in files:
        _say(_why_file(options, plan, Path(name)))
    return 0


def _why_file(options: argparse.Namespace, plan: "Plan", path: Path) -> list[str]:
    """Why a result's or a published file is of today's plan, or not."""
    from lskd.jobs import why
    from lskd.jobs.listing import result_of

    entry = result_of(options.results, path)
    jobs = {str(job.folder): job for job in plan.catalogue.everything()}
    job = jobs.get(str(entry.folder))
    if job:
        state = "" if plan.results.is_complete(job) else f"; to do: {why.reason(job) or 'what it reads is new'}"
        stands = f", adopted for {job.address}" if job.standing != job.address else ""
        return [f"{path}: of today's plan{stands}: {entry.below}, for {', '.join(_users(plan, entry))}{state}"]
    namesakes = [each for each in jobs.values() if (each.stage, each.title) == (entry.stage, entry.title)]
    head = f"{path}: not of today's plan: {entry.below}"
    if not namesakes:
        near = get_close_matches(entry.title, {each.title for each in jobs.values() if each.stage == entry.stage}, 1)
        return [f"{head}: no study asks for {entry.title}{''.join(f'; nearest is {title}' for title in near)}"]
    if not entry.record:
        return [f"{head}: unfinished or damaged, it has no whole record; today's is {namesakes[0].standing}"]
    record = entry.record
    alike = min(namesakes, key=lambda each: sum(map(len, why.difference(each, record))))
    return [head, *(f"  {line}" for line in why.of_result(alike, record))]


def _users(plan: "Plan", entry: "Entry") -> list[str]:
    """The figures of the plan's studies that a result is behind, as study/figure."""
    from lskd.jobs.catalogue import ancestors

    users = []
    for study in plan.catalogue.studies.values():
        for figure in study.figures:
            if any(job.folder == entry.folder for job in ancestors(plan.catalogue.figure(study.study, figure))):
                users.append(f"{study.study}/{figure}")
    return users


def _ls(options: argparse.Namespace) -> int:
    from lskd.jobs import listing

    named = _named(options)
    listed = [entry for entry in listing.entries(listing.existing(options.results)) if _begins(entry, options.prefix)]
    notes = [] if _has_papers() else ["note: without a checkout, what only the papers' studies use counts as unused"]
    _say([*notes, *named.notes, *listing.lines(listed, {entry.below for entry in listed if named.names(entry)})])
    return 0


def _has_papers() -> bool:
    """Whether this lskd lies in a checkout, beside the papers' studies."""
    from lskd.study import studies

    return (studies.TREE / "workflow" / "studies").is_dir()


def _begins(entry: "Entry", prefix: str) -> bool:
    return entry.title.startswith(prefix) or entry.below.startswith(prefix.removeprefix("results/"))


def _verify(options: argparse.Namespace) -> int:
    from lskd.jobs.listing import existing
    from lskd.jobs.verify import verify

    report = verify(existing(options.results), options.paths)
    _say([*report.failures, report.last])
    return 1 if report.failures else 0


def _adopt(options: argparse.Namespace) -> int:
    from lskd.jobs import adopt
    from lskd.jobs.listing import existing

    root = existing(options.results)
    if options.list:
        _say(adopt.listed(root))
    elif options.undo:
        _say([f"adopted records removed: {adopt.undo(root, options.undo)}"])
    else:
        names = _targets(_plan(options), options.targets)
        check = _check_of(options, names) if options.check else None
        proposal = adopt.Proposal(lambda records: _plan(options, records), names, check)
        _say(proposal.lines())
        if proposal.records and options.yes:
            proposal.write(root)
            _say([f"adopted; taken back by: python -m lskd adopt --undo all, or --undo ADDRESS ({root / 'adopted'})"])
        elif proposal.records:
            _say(["nothing written; adopt them: the same with --yes"])
    return 0


def _check_of(options: argparse.Namespace, targets: list[str]) -> "Check":
    """What asks today's code of a job; the study's own runtime, as Snakemake would give it to the job."""
    from lskd.replay import Checks

    if importlib.util.find_spec("torch") is None:
        raise UserError(
            "adopt --check: needs torch, which is not installed here; install envs/train.txt, or drop --check"
        )
    plan = _plan(options)
    plan.want(targets)
    return Checks(plan.main.runtime, len(plan.to_do()))


def _gc(options: argparse.Namespace) -> int:
    from lskd.jobs import gc
    from lskd.jobs.listing import existing

    if not _has_papers():
        raise UserError(
            "gc: lskd is installed here without the papers' studies, whose results would count as unused; run"
            " python -m lskd gc in the checkout"
        )
    root = existing(options.results)
    named = _named(options, options.keep)
    listed = gc.garbage(root, named)
    _say(gc.lines(listed, named))
    if options.delete:
        gc.delete(root, listed)
        _say(["removed"])
    elif listed:
        _say(["remove them: python -m lskd gc --delete; other checkouts may share this folder and need them"])
    return 0


def _register(options: argparse.Namespace) -> int:
    from lskd.jobs import register

    plan = _plan(options)
    plan.ask(register.judging(plan.main))  # what cannot be judged is refused here
    _say([register.register(plan.catalogue, plan.main.study)])
    return 0


def _lineage(options: argparse.Namespace) -> int:
    from lskd.jobs import lineage
    from lskd.jobs.listing import existing, result_of

    root = existing(options.results)
    entry, behind = result_of(root, options.file), lineage.Lineage(root)
    node = behind.of(entry) if options.row is None else behind.of_row(entry, options.row)
    _say([json.dumps(node, indent=1)] if options.json else lineage.lines(node))
    return 0


def _pack(options: argparse.Namespace) -> int:
    from lskd.jobs import pack
    from lskd.jobs.listing import existing

    existing(options.results)
    plan = _plan(options)
    study = options.study or plan.main.study
    if study not in plan.catalogue.studies:
        near = get_close_matches(study, plan.catalogue.studies, 1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(plan.catalogue.studies))}"
        raise UserError(f"{study}: no study; {hint}")
    more = (pack.LOGITS if options.with_logits else pack.WHOLE) | (pack.DATA if options.with_data else pack.WHOLE)
    _say(pack.pack(plan, study, options.output, more))
    return 0


def _unpack(options: argparse.Namespace) -> int:
    from lskd.jobs.unpack import unpack

    _say(unpack(options.archive, options.folder))
    return 0


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    default = Path("workflow/profiles/slurm/site.yaml")
    parser.add_argument("--site", type=Path, default=default, metavar="FILE", help="the cluster's settings")


def _doctor(options: argparse.Namespace) -> int:
    from lskd.jobs import doctor

    lines, is_well = doctor.check(options.site, options.results)
    _say(lines)
    return 0 if is_well else 1


def _watch(options: argparse.Namespace) -> int:
    from lskd.jobs.live import watch

    watch(options.results / ".running")
    return 0


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=False)
    sys.stdout.flush()


def _plan(options: argparse.Namespace, adopted: "dict[str, Record] | None" = None) -> "Plan":
    """Today's plan, with adopted records that are not written yet."""
    from lskd.jobs.catalogue import Catalogue
    from lskd.jobs.plan import Plan
    from lskd.jobs.results import Results
    from lskd.study import studies

    config, overrides, files = _configuration(options)
    trust, plain, rest = studies.trust_code(config, overrides)
    main_study, known = studies.read_all(plain, rest, files)
    return Plan(main_study, Catalogue(known, Results(options.results, trust, adopted)), rest)


def _named(options: argparse.Namespace, keep: Iterable[str] = ()) -> "Named":
    """What the studies of the tree name, at all scales: config.yaml's, those of the options, the papers'."""
    from lskd.jobs import gc
    from lskd.jobs.results import Results
    from lskd.study import reading as studyfile
    from lskd.study import studies

    config, overrides, files = _configuration(options)
    trust, plain, rest = studies.trust_code(config, overrides)
    sources: list[gc.Source] = [(", ".join(files), plain, rest)]
    if rest:
        bare, _, _ = _configuration(argparse.Namespace(**vars(options) | {"config": []}))
        sources.append((", ".join(files), studies.trust_code(bare, {})[1], {}))
    others = {DEFAULT_CONFIG} if Path(DEFAULT_CONFIG).exists() and files != [DEFAULT_CONFIG] else set()
    sources += [(path, studyfile.read(path), {}) for path in sorted(others | set(keep))]
    return gc.named(sources, Results(options.results, trust))


def _targets(plan: "Plan", names: list[str]) -> list[str]:
    """The names, each of a study or figure; UserError for another."""
    for name in names:
        if name not in plan.names:
            near = get_close_matches(name, plan.names, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(plan.names))}"
            raise UserError(f"{name}: no study, figure or file; {hint}")
    return names


def _configuration(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """What the config files hold with the overrides laid over them, the overrides, and the files."""
    from lskd.study import reading as studyfile
    from lskd.study.command_line import laid_over, read_overrides

    files = options.configfile or [DEFAULT_CONFIG]
    config: dict[str, Any] = {}
    for path in files:
        raw = studyfile.read(path)
        if not isinstance(raw, dict):
            raise UserError(f"{path}: found {type(raw).__name__}, a mapping of keys is needed; see config.yaml")
        config = laid_over(config, raw)
    overrides = read_overrides(options.config)
    return laid_over(config, overrides), overrides, files
