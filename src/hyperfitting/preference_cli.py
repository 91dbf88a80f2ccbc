"""`hyperfit preference ...`: the words of the human study. Parsing and printing; each verb loads what it needs."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hyperfitting.errors import HyperfittingError, StudyError

if TYPE_CHECKING:
    from hyperfitting.preference.plan import StudyPlan
    from hyperfitting.preference.store import Store
    from hyperfitting.progress import Progress

HELP = "the human study: create, invite, serve, simulate, judge, export, analyse"


def add_verbs(made: argparse.ArgumentParser, console: Callable[[], Progress]) -> None:
    """Give the parser of `hyperfit preference` its verbs; `console` makes the narrator of the long ones."""
    verbs = made.add_subparsers(metavar="VERB", dest="preference_verb", parser_class=type(made))
    made.set_defaults(function=lambda options: _help(made))

    def verb(
        name: str, help_: str, function: Callable[[argparse.Namespace], None], *needs: Callable[[Any], None]
    ) -> Any:
        one = verbs.add_parser(name, help=help_, description=help_[0].upper() + help_[1:] + ".")
        one.set_defaults(function=function, console=console)
        for need in needs:
            need(one)
        return one

    _add_create(
        verb("create", "a study from what runs wrote: comparisons, blinded, and the plan of the analysis", _create)
    )
    _add_invite(verb("invite", "personal links; or list, revoke them, or renew the admin's token", _invite, _study))
    _add_serve(verb("serve", "the study in browsers: annotators judge, the admin watches", _serve, _study))
    _add_simulate(verb("simulate", "synthetic annotators of known taste, marked as such for ever", _simulate, _study))
    _add_judge(verb("judge", "a model as judge, behind an OpenAI-compatible endpoint", _judge, _study))
    export = verb("export", "every judgement as JSON lines or CSV", _export, _study)
    export.add_argument("--out", type=Path, required=True, metavar="FILE", help="a .jsonl or .csv file")
    settings = verb("settings", "every setting with its default, and the fields of a judgement", _settings)
    settings.add_argument(
        "of",
        nargs="?",
        choices=["plan", "taste", "model", "fields"],
        default="plan",
        help="a plan's (default) or those of simulated annotators, of a model as judge; or the fields of exported rows",
    )
    _add_analyse(verb("analyse", "shares, worths, agreement and their intervals, as a report", _analyse))
    _add_power(verb("power", "how many contexts, annotators and hours buy which interval", _power))


def _help(made: argparse.ArgumentParser) -> None:
    """What there is, where no verb is given; exit code 2, as for `hyperfit` alone."""
    made.print_help()
    raise SystemExit(2)


def _study(made: argparse.ArgumentParser) -> None:
    made.add_argument("folder", type=Path, metavar="STUDY", help="the folder that `hyperfit preference create` wrote")
    made.add_argument(
        "--database", metavar="URL", help="postgresql://user@host/database; default: study.sqlite in the folder"
    )


def _add_create(made: argparse.ArgumentParser) -> None:
    made.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="folders of experiments or runs with texts")
    made.add_argument("--out", type=Path, metavar="STUDY", help="the study's folder; never overwritten")
    made.add_argument("--plan", type=Path, metavar="FILE", help="a .toml file with settings of the plan")
    for option, (setting, metavar, help_) in _SETTINGS.items():
        made.add_argument(option, dest=f"plan_{setting}", metavar=metavar, help=help_)
    made.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change any setting of the plan; repeatable"
    )
    made.add_argument("--dry-run", action="store_true", help="only say what would be compared")


_SETTINGS = {
    "--name": ("name", "NAME", "the study's name (that of its folder)"),
    "--pairs": ("pairs", "reference|all|ARM=ARM,...", "each arm with the true text, every two arms, or pairs by name"),
    "--per-domain": ("per_domain", "N", "contexts drawn from each set, or '{ fiction = 9, news = 3 }' (all)"),
    "--tokens": ("tokens", "N", "cut every text to at most so many tokens (the shorter one's)"),
    "--judgements": ("judgements", "K", "judgements that count for each comparison (3)"),
    "--items": ("items", "N", "items for one annotator at most (all)"),
    "--attention-rate": ("attention_rate", "SHARE", "share of attention checks (0.05)"),
    "--repeat-rate": ("repeat_rate", "SHARE", "share of repeats (0.05)"),
    "--seed": ("seed", "N", "decides contexts, orders and sides (0)"),
}


def _add_invite(made: argparse.ArgumentParser) -> None:
    made.add_argument("--count", type=_count, default=1, metavar="N", help="how many links (1)")
    made.add_argument("--label", metavar="WORDS", help="who they are for; purged if they withdraw")
    made.add_argument(
        "--expires", type=_expiry, metavar="14d", help="days (14d), hours (6h) or a date with its zone; default: never"
    )
    made.add_argument("--url", default="http://127.0.0.1:8000", help="where the study is served (%(default)s)")
    what = made.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="list the links, without their tokens")
    what.add_argument("--revoke", type=_count, metavar="ID", help="make a link invalid")
    what.add_argument("--admin", action="store_true", help="a new token for the admin; the former one ends")


def _add_serve(made: argparse.ArgumentParser) -> None:
    made.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s: this machine only)")
    made.add_argument("--port", type=_port, default=8000, metavar="N", help="port to listen on (%(default)s)")
    made.add_argument("--public-url", metavar="URL", help="how browsers reach it, such as https://study.example.org")
    made.add_argument("--open-link", action="store_true", help="serve the open link too, where the plan allows one")


def _add_simulate(made: argparse.ArgumentParser) -> None:
    made.add_argument("--annotators", type=_count, required=True, metavar="N", help="how many")
    made.add_argument("--seed", type=int, default=0, help="decides who they are and what they answer (0)")
    made.add_argument(
        "--strength",
        action="append",
        default=[],
        metavar="ARM=S",
        help="log strength of an arm, such as 'reference=1.5'; repeatable (0)",
    )
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="ties, context_spread, annotator_spread, side_bias, careless or seconds; repeatable",
    )


def _add_judge(made: argparse.ArgumentParser) -> None:
    made.add_argument("--url", required=True, help="the endpoint, such as http://127.0.0.1:8080/v1")
    made.add_argument("--model", required=True, metavar="NAME", help="the model's name there")
    made.add_argument("--prompt", type=Path, metavar="FILE", help="a prompt of your own: {context} {first} {second}")
    made.add_argument(
        "--key-from", metavar="VARIABLE", help="the environment variable that holds the key; it is kept nowhere"
    )
    made.add_argument("--parallel", type=_count, default=4, metavar="N", help="questions under way at a time (4)")
    made.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="temperature, max_tokens, seed, timeout_seconds or retries; repeatable",
    )


def _add_analyse(made: argparse.ArgumentParser) -> None:
    made.add_argument("what", type=Path, metavar="STUDY|FILE", help="a study's folder, or judgements in .jsonl or .csv")
    made.add_argument(
        "--source", choices=["human", "model", "simulated"], help="whose judgements, where there are several"
    )
    made.add_argument("--out", type=Path, metavar="DIR", help="the report's folder (report-SOURCE in or beside it)")
    made.add_argument(
        "--database", metavar="URL", help="postgresql://user@host/database; default: study.sqlite in the folder"
    )
    made.add_argument("--draws", type=_count, default=2000, metavar="N", help="bootstrap draws (2000)")
    made.add_argument("--seed", type=int, default=0, help="of the bootstrap (0)")


def _add_power(made: argparse.ArgumentParser) -> None:
    for option, default, help_ in (
        ("--contexts", [60, 100, 300], "contexts, each judged for one pair (60,100,300)"),
        ("--annotators", [10, 20, 30], "annotators (10,20,30)"),
        ("--judgements", [3], "judgements of each comparison (3)"),
    ):
        made.add_argument(option, type=_counts, default=default, metavar="N,N", help=help_)
    made.add_argument("--seconds", type=_positive, default=40.0, metavar="S", help="seconds a judgement takes (40)")
    made.add_argument(
        "--preferred", type=_positive, default=0.3, metavar="SHARE", help="expected share preferred (0.3)"
    )
    made.add_argument("--equal", type=_from_0, default=0.15, metavar="SHARE", help="expected share equal (0.15)")
    made.add_argument(
        "--context-sd", type=_from_0, default=1.0, metavar="SD", help="how far contexts differ, in log-odds (1.0)"
    )
    made.add_argument(
        "--annotator-sd", type=_from_0, default=0.5, metavar="SD", help="how far annotators differ, in log-odds (0.5)"
    )
    made.add_argument("--studies", type=_count, default=400, metavar="N", help="studies drawn for each line (400)")
    made.add_argument("--seed", type=int, default=0, help="of the drawing (0)")


def _counts(text: str) -> list[int]:
    return [_count(part) for part in text.split(",")]


def _from_0(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1e6:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 on")
    return value


def _positive(text: str) -> float:
    if not (value := _from_0(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 10_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 10000")
    return int(text)


def _port(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 65_535):
        raise argparse.ArgumentTypeError(f"{text!r} is no port: a whole number from 1 to 65535")
    return int(text)


def _expiry(text: str) -> datetime:
    span = re.fullmatch(r"(\d{1,4})([dh])", text)
    if span is not None:
        return datetime.now(UTC) + timedelta(**{"days" if span[2] == "d" else "hours": int(span[1])})
    try:
        time = datetime.fromisoformat(text)
        if time.utcoffset() is not None:
            return time
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r}: write it as 14d, 6h or 2026-12-31T18:00+00:00")


def _create(options: argparse.Namespace) -> None:
    from hyperfitting.preference.arms import read_contexts
    from hyperfitting.preference.making import create_study
    from hyperfitting.preference.pairing import pair_up, summary
    from hyperfitting.preference.study import refuse_to_overwrite

    plan = _plan(options)
    if not options.dry_run:
        if options.out is None:
            raise StudyError("--out STUDY is needed: the folder of the new study")
        refuse_to_overwrite(options.out)
    paired = pair_up(read_contexts(options.runs), plan)
    print(summary(paired, plan))
    if options.dry_run:
        return
    study, token = create_study(options.out, plan, paired, options.runs)
    print(f"plan     {study.digest[:8]}, fixed from now on: {study.plan_file}")
    print(f"study    {study.folder}")
    print(f"admin    {token}   (kept nowhere: write it down; `hyperfit preference invite STUDY --admin` makes another)")
    _next("invite", study.folder, "--count", 5)
    _next("serve", study.folder)


def _plan(options: argparse.Namespace) -> StudyPlan:
    from hyperfitting.preference.making import read_plan

    chosen = {setting: getattr(options, f"plan_{setting}") for setting, _, _ in _SETTINGS.values()}
    given = {name: value for name, value in chosen.items() if value is not None}
    folder = "study" if options.out is None else options.out.name.lower()
    name = re.sub(r"[^a-z0-9_-]+", "-", folder).strip("-_")[:60] or "study"
    return read_plan(options.plan, given, options.set, default_name=name)


def _next(*words: object) -> None:
    print(f"next     hyperfit preference {shlex.join(map(str, words))}")


def _store(options: argparse.Namespace) -> Store:
    from hyperfitting.preference.study import Study

    return Study.find(options.folder).open_store(options.database)


def _invite(options: argparse.Namespace) -> None:
    from hyperfitting.preference.study import Study

    base = options.url.rstrip("/")
    if options.admin:
        print(f"admin    {Study.find(options.folder).renew_admin_token()}")
        return
    with _store(options) as store:
        if options.list:
            for each in store.invitations():
                state = "revoked" if each.revoked else f"used by {each.annotator}" if each.annotator else "not used"
                print(f"{each.id:6d}  {state:16s}  expires {each.expires_at or 'never':32s}  {each.label or ''}")
        elif options.revoke:
            store.revoke(options.revoke)
            print(f"revoked  {options.revoke}")
        else:
            for token in store.invite(options.count, options.expires, options.label):
                print(f"{base}/i/{token}")


def _export(options: argparse.Namespace) -> None:
    from hyperfitting.files import refuse_to_replace
    from hyperfitting.preference.exchange import is_export_of, write_judgements
    from hyperfitting.preference.study import Study

    study = Study.find(options.folder)
    refuse_to_replace(options.out, ours=lambda path: is_export_of(path, study.digest), what="export of this study")
    with study.open_store(options.database) as store:
        rows = list(store.judgements())
    write_judgements(options.out, rows)
    print(f"rows     {len(rows)} judgements: {options.out}")
    _next("analyse", options.folder)


def _serve(options: argparse.Namespace) -> None:
    from hyperfitting.preference.web.address import Address
    from hyperfitting.preference.web.serve import serve

    address = Address(options.host, options.port, options.public_url)
    serve(options.folder, address, database=options.database, open_link=options.open_link)


def _simulate(options: argparse.Namespace) -> None:
    from hyperfitting.preference.making import read_taste
    from hyperfitting.preference.simulate import simulate, truth
    from hyperfitting.preference.study import Study

    study, taste = Study.find(options.folder), read_taste(options.strength, options.set)
    count = simulate(study, options.annotators, taste, options.seed, url=options.database, narrator=options.console())
    true = truth(study, taste)
    study.add_simulation(
        {
            "annotators": options.annotators,
            "seed": options.seed,
            "judgements": count,
            "taste": taste.model_dump(mode="json"),
            "truth": [{"one": one, "other": other, "shares": shares} for (one, other), shares in true.items()],
        }
    )
    for (one, other), (won, equal, lost) in true.items():
        print(f"truth    {one} against {other}: preferred {won:.1%}, equal {equal:.1%}, not preferred {lost:.1%}")
    print(f"rows     {count} simulated judgements by {options.annotators} annotators")
    _next("analyse", options.folder)


def _judge(options: argparse.Namespace) -> None:
    from hyperfitting.preference.making import read_model_settings
    from hyperfitting.preference.model_judge import judge, key_from

    settings = read_model_settings(options.url, options.model, options.prompt, options.set)
    key = key_from(options.key_from)
    with _store(options) as store:
        judged = judge(store, settings, key=key, parallel=min(options.parallel, 64), narrator=options.console())
    both = judged.now + judged.before
    print(f"rows     {judged.now} comparisons judged now, {judged.before} before, by {settings.model}")
    print(f"flips    {judged.flips} of {both}: another answer in the other order, counted as ties")
    if judged.unanswered:
        raise HyperfittingError(
            f"{judged.unanswered} comparisons got a reply that is neither A, B nor EQUAL: the same command asks again; "
            "a model that thinks first needs --set max_tokens=4000"
        )
    _next("analyse", options.folder)


def _analyse(options: argparse.Namespace) -> None:
    from hyperfitting.report.preference.study import report_on

    page, lines = report_on(
        options.what,
        source=options.source,
        out=options.out,
        database=options.database,
        draws=options.draws,
        seed=options.seed,
    )
    print("\n".join(lines))
    print(f"report   {page}")


def _power(options: argparse.Namespace) -> None:
    from hyperfitting.preference.analysis import Design, Population, calibrated, power
    from hyperfitting.preference.analysis.power import power_table

    guess = Population(context_sd=options.context_sd, annotator_sd=options.annotator_sd)
    population = calibrated(guess, preferred=options.preferred, equal=options.equal, seed=options.seed)
    designs = [
        Design(contexts, annotators, judgements)
        for contexts in options.contexts
        for annotators in options.annotators
        for judgements in options.judgements
    ]
    found = power(population, designs, studies=options.studies, seconds_each=options.seconds, seed=options.seed)
    print(power_table(found))
    print(
        f"for one pair of arms; preferred {options.preferred:.0%}, equal {options.equal:.0%}; contexts and annotators "
        f"differ by {options.context_sd:g} and {options.annotator_sd:g} in log-odds, a guess until a pilot tells"
    )


def _settings(options: argparse.Namespace) -> None:
    from hyperfitting.preference.documents import table

    print(table(options.of), end="")
