"""`hyperfit preference ...`: the verbs of the preference study. Each parses, calls one function of
the library, and prints.

The functions are imported when they are called, so that `hyperfit --help` loads none of the
libraries behind them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hyperfitting.cli.console import folded
from hyperfitting.cli.options import Parser, Verbs, loudness, print_next, progress
from hyperfitting.cli.preference_options import (
    PROTOCOL_OPTIONS,
    analyse_options,
    archive_options,
    create_options,
    export_options,
    invite_options,
    judge_options,
    power_options,
    serve_options,
    settings_options,
    simulate_options,
    study_options,
)
from hyperfitting.cli.preference_text import invitation_line, preview_lines
from hyperfitting.errors import HyperfittingError, StudyError

if TYPE_CHECKING:
    from hyperfitting.preference.web.serve import ServedLinks

HELP = (
    "the preference study: create, power, invite, serve, simulate, judge, export, archive, "
    "analyse, settings"
)


def add_preference(made: Parser) -> None:
    """The verbs of `hyperfit preference`."""
    verbs = Verbs(made)
    for name, help_, function, needs in _VERBS:
        verbs.add(name, help_, function, *needs)


def _create(options: argparse.Namespace) -> None:
    from hyperfitting.preference.design.create import create_study, preview_study, read_protocol
    from hyperfitting.preference.design.pairs_file import read_columns

    chosen = {
        setting: getattr(options, f"protocol_{setting}")
        for setting, _, _ in PROTOCOL_OPTIONS.values()
    }
    given = {name: value for name, value in chosen.items() if value is not None}
    protocol = read_protocol(options.protocol, given, options.set, out=options.out)
    columns = read_columns(options.column)
    if options.dry_run:
        preview = preview_study(options.sources, protocol, columns=columns)
        print(folded("\n".join(preview_lines(preview)), 9))
        return
    if options.out is None:
        raise StudyError("--out STUDY is needed: the folder of the new study")
    made = create_study(options.sources, options.out, protocol, columns=columns)
    print(folded("\n".join(preview_lines(made.preview)), 9))
    print(f"protocol {made.study.digest[:8]}, fixed from now on: {made.study.protocol_file}")
    print(f"study    {made.study.folder}")
    remedy = "`hyperfit preference invite STUDY --admin` makes another"
    print(f"admin    {made.admin_token}   (not stored: write it down; {remedy})")
    print_next("preference", "invite", made.study.folder, "--count", 5)
    print_next("preference", "serve", made.study.folder)


def _invite(options: argparse.Namespace) -> None:
    from hyperfitting.preference.store.links import (
        invite,
        invite_names,
        links_table,
        list_invitations,
        read_names,
        revoke_invitation,
    )
    from hyperfitting.preference.study import Study

    if options.names and (options.label or options.count > 1):
        raise StudyError("--names makes and labels a link for each: leave --count and --label out")
    if options.out and not options.names:
        raise StudyError("--out is for the links of --names")
    study, database = Study.find(options.folder), options.database
    if options.admin:
        print(f"admin    {study.renew_admin_token()}")
    elif options.list:
        for each in list_invitations(study, database=database):
            print(invitation_line(each))
    elif options.revoke:
        revoke_invitation(study, options.revoke, database=database)
        print(f"revoked  {options.revoke}")
    elif options.names:
        how = {"base_url": options.url, "expires_at": options.expires, "database": database}
        made = invite_names(study, read_names(options.names), out=options.out, **how)
        print(f"links    {len(made)}: {options.out}" if options.out else links_table(made).rstrip())
    else:
        how = {"base_url": options.url, "expires_at": options.expires, "label": options.label}
        print("\n".join(invite(study, options.count, database=database, **how)))


def _export(options: argparse.Namespace) -> None:
    from hyperfitting.preference.store.judgement_files import export_judgements, export_replies
    from hyperfitting.preference.study import Study

    study, database = Study.find(options.folder), options.database
    if options.replies:
        replies = export_replies(study, options.out, database=database)
        print(f"rows     {replies.rows} replies: {replies.file}")
        return
    exported = export_judgements(study, options.out, texts=options.texts, database=database)
    print(f"rows     {exported.rows} judgements: {exported.file}")
    if exported.names_people:
        print("note     the file holds labels and completion codes: `archive` leaves both out")
    print_next("preference", "analyse", options.folder)


def _archive(options: argparse.Namespace) -> None:
    from hyperfitting.preference.store.archive import archive_study
    from hyperfitting.preference.study import Study

    study, database = Study.find(options.folder), options.database
    made = archive_study(study, options.out, texts=options.texts, database=database)
    print(f"archive  {made.folder}")
    print_next("preference", "analyse", made.folder)


def _serve(options: argparse.Namespace) -> None:
    from hyperfitting.preference.study import Study
    from hyperfitting.preference.web.serve import serve_study
    from hyperfitting.web.address import Address

    address = Address(options.host, options.port, options.public_url)
    study = Study.find(options.folder)
    serve_study(
        study, address, database=options.database, open_link=options.open_link, ready=_print_links
    )


def _print_links(links: ServedLinks) -> None:
    print(f"annotators  {links.annotators}", flush=True)
    print(f"admin       {links.admin}", flush=True)
    if links.note is not None:
        print(f"note        {links.note}", flush=True)
    print("Ctrl-C stops the server; every confirmed answer is kept", flush=True)


def _simulate(options: argparse.Namespace) -> None:
    from hyperfitting.preference.judges.simulated import read_simulation_settings, simulate
    from hyperfitting.preference.study import Study

    made = simulate(
        Study.find(options.folder),
        options.annotators,
        read_simulation_settings(options.strength, options.set),
        seed=options.seed,
        database=options.database,
        progress=progress(options),
    )
    for each in made.truth:
        won, equal, lost = each.shares
        shares = f"preferred {won:.1%}, equal {equal:.1%}, not preferred {lost:.1%}"
        print(f"truth    {each.one} against {each.other}: {shares}")
    print(f"rows     {made.judgements} simulated judgements by {made.annotators} annotators")
    print_next("preference", "analyse", options.folder)


def _judge(options: argparse.Namespace) -> None:
    from hyperfitting.preference.judges.endpoint import key_from_environment
    from hyperfitting.preference.judges.llm import judge_with_llm, read_llm_settings
    from hyperfitting.preference.study import Study

    judged = judge_with_llm(
        Study.find(options.folder),
        read_llm_settings(options.url, options.model, options.prompt, options.set),
        key=key_from_environment(options.key_from),
        parallel=options.parallel,
        database=options.database,
        progress=progress(options),
    )
    print(
        f"rows     {judged.now} comparisons judged now, {judged.before} before, by {judged.model}"
    )
    print(
        f"flips    {judged.flips} of {judged.now + judged.before}: another answer in the other "
        "order, counted as ties"
    )
    if judged.unanswered:
        raise HyperfittingError(
            f"{judged.unanswered} comparisons got a reply that is neither A, B nor EQUAL, or none, "
            f"such as {judged.example}: the same command asks again; a model that thinks first "
            "needs --set max_tokens=4000, another form of answer --set pattern=...; `hyperfit "
            "preference export STUDY --replies --out FILE` writes every reply"
        )
    print_next("preference", "analyse", options.folder)


def _analyse(options: argparse.Namespace) -> None:
    from hyperfitting.report.preference.study import report_preference

    made = report_preference(
        options.what,
        source=options.source,
        judge=options.judge,
        out=options.out,
        database=options.database,
        draws=options.draws,
        seed=options.seed,
    )
    if made.banner is not None:
        print(f"note     {made.banner}")
    for line in made.headlines:
        print(f"result   {line}")
    for each in made.analysis.not_computed:
        print(f"missing  {each.what}: {each.why}")
    for check in made.protocol_checks:
        print(f"protocol {'kept' if check.kept else 'NOT KEPT'}: {check.what}: {check.found}")
    print(f"report   {made.page}")


def _power(options: argparse.Namespace) -> None:
    from hyperfitting.preference.analysis.power import power_in_words, power_of_grid, power_table

    rows = power_of_grid(
        contexts=options.contexts,
        annotators=options.annotators,
        judgements=options.judgements,
        preferred=options.preferred,
        equal=options.equal,
        context_sd=options.context_sd,
        annotator_sd=options.annotator_sd,
        studies=options.studies,
        seconds_each=options.seconds,
        seed=options.seed,
    )
    print(power_table(rows))
    for line in power_in_words(rows):
        print(f"small    {line}")
    print(
        f"for one pair of arms; preferred {options.preferred:.0%}, equal {options.equal:.0%}; "
        f"contexts and annotators differ by {options.context_sd:g} and {options.annotator_sd:g} in "
        "log-odds, a guess until a pilot study is judged"
    )


def _settings(options: argparse.Namespace) -> None:
    from hyperfitting.preference.settings_tables import preference_table

    print(preference_table(options.of), end="")


_VERBS: tuple[
    tuple[str, str, Callable[[argparse.Namespace], None], tuple[Callable[[Any], None], ...]], ...
] = (
    (
        "create",
        "a study of the texts of runs, or of pairs in a file: blinded comparisons and the protocol "
        "of the analysis",
        _create,
        (create_options,),
    ),
    (
        "invite",
        "personal links; or list them, revoke one, or renew the admin's token",
        _invite,
        (study_options, invite_options),
    ),
    (
        "serve",
        "serve the study to browsers of annotators and of the admin",
        _serve,
        (study_options, serve_options),
    ),
    (
        "simulate",
        "simulated annotators with known preferences, to rehearse a study",
        _simulate,
        (study_options, simulate_options, loudness),
    ),
    (
        "judge",
        "a language model as judge, behind an OpenAI-compatible endpoint",
        _judge,
        (study_options, judge_options, loudness),
    ),
    (
        "export",
        "every judgement as JSON lines or CSV",
        _export,
        (study_options, export_options),
    ),
    (
        "archive",
        "a small folder of the study to commit: no database, hashes for texts",
        _archive,
        (study_options, archive_options),
    ),
    (
        "settings",
        "every setting with its default, and the fields of a judgement",
        _settings,
        (settings_options,),
    ),
    (
        "analyse",
        "report of shares, worths and agreement with their intervals",
        _analyse,
        (analyse_options,),
    ),
    (
        "power",
        "width of the intervals by number of contexts and annotators, and hours",
        _power,
        (power_options,),
    ),
)
"""Name, help, handler and options of each verb, in the order of the help."""
