"""Imports go strictly down, between rooms and inside them; each heavy library has one door."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from tests.support.source import FILES, MODULES, SOURCE, imported, imported_modules, room

# From the ground up. A room may import rooms below it, never another of its own layer nor anything
# above.
LAYERS = [
    {
        "documents",
        "encoding",
        "environment",
        "errors",
        "hub",
        "png",
        "progress",
        "seeds",
        "spreadsheets",
    },
    {"assets", "files"},
    {"palette", "recipe", "traits"},
    {"records"},
    {"weights"},
    {"facts"},
    {"metrics", "runs"},
    {"decoding"},
    {"data", "models", "trackers", "web"},
    {"comparing", "downstream", "generate", "measuring", "training"},
    {"preference", "writing"},
    {"report"},
    {"stages"},
    {"pipeline"},
    {"studies"},
    {"cli"},
    {"__init__", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}

# Inside a room, from the ground up: a module may import those of the groups before its own. A
# folder's name stands for all its modules that are not named themselves.
ORDER = {
    "cli": "console preference_text values < options preference_options text < study_text < "
    "completion evaluating experiments measuring planning preference recipes studies < __init__",
    "comparing": "seeds < load < differences nearest < __init__",
    "downstream": "__init__ calibration paired parser task_files < benchmarks tables < "
    "overlap_check prompts < asked harness < answering foreign",
    "measuring": "aggregate pooled_metrics reading text_metrics < images model_metrics < texts < "
    "experiment external_texts < __init__",
    "metrics": "__init__ controls diversity images images.features images.grids images.recitation "
    "overlap repetition specs.tokens stats token_scores words < bleu images.closeness "
    "images.controls images.repetition mauve multiple_comparisons specs.spec < specs.fluency "
    "specs.of_images specs.of_models < specs.of_texts < specs < specs.reference",
    "preference": "__init__ analysis.arrays analysis.guard analysis.published design design.arms "
    "design.cleaning design.units judges judges.endpoint languages records settings_input "
    "store.database web < analysis.clustered_se analysis.encode design.pairs_file "
    "design.presentation store.rows web.messages wording < analysis.agreement "
    "analysis.data_quality analysis.davidson analysis.population analysis.shares "
    "analysis.ttr_regression protocol < analysis.llm_agreement analysis.power "
    "analysis.protocol_adherence store.assignment study web.comprehension_test < analysis.analyse "
    "analysis.workload design.comparisons store.context store.judgements store.progress < "
    "analysis design.given_pairs design.pairing store.careless store.invitations < "
    "design.picture_pairs store.annotators < design.create store.items store.llm_judgements < "
    "store.store < store store.judgement_files store.links < judges.llm judges.simulated "
    "store.archive web.dependencies < settings_tables web.admin web.annotators < web.app < "
    "web.serve",
    "recipe": "amounts base former_names tree < evaluate images model strategies train < data "
    "variants < settings < differences notes paths reference < problems < unknown < load < "
    "__init__",
    "report": "comparison experiment experiment.whole_words kit kit.figures kit.heat "
    "kit.numbers kit.page kit.subject kit.tables kit.variants preference study "
    "study.content < comparison.cells comparison.figures experiment.all_texts "
    "experiment.evaluation experiment.evaluation_figure experiment.figures "
    "experiment.key_figure experiment.pictures experiment.tables preference.sheets "
    "study.figures < comparison.write experiment.examples "
    "experiment.picture_figures preference.conduct_tables preference.tables study.write < "
    "experiment.closing experiment.write preference.figures preference.judge_tables < "
    "__init__ notebook preference.write < preference.study",
    "runs": "answers blocks < evaluation < run < experiment < find < __init__",
    "studies": "agreement claims launchers predictions settings sharing < grid load < folder jobs "
    "< __init__ analyses.moments analyses.summary cell_run launchers.protocol reuse status < "
    "analyses.cells analyses.confidence analyses.curve_rows analyses.data_type analyses.long_texts "
    "analyses.pairs analyses.quantity page worker < analyses.curve_sentences analyses.downstream "
    "analyses.kinds < "
    "analyses.curves analyses.shuffle launchers.here launchers.processes launchers.ray_cluster "
    "launchers.slurm < analyses < findings launchers.choose study_run < estimate report",
    "stages": "__init__ archive clean compare draw listing measure_file model_card plan report "
    "same_source workload < take_models < evaluate_plan train < evaluate generate measure < check "
    "evaluate_any",
    "training": "distributed loss optimizer plain_failures < model_setup rounding_meter < "
    "checkpoint < probe schedule stopping < loop < memory_plan < __init__",
    "trackers": "tracker < to_tensorboard to_trackio to_wandb < reporter < __init__",
    "web": "__init__ address markdown middleware rate_limit tokens < cookies server templates",
    "data": "contamination decode drawn.canvas folders lost_characters splits < drawn.faces "
    "drawn.indoors drawn.outdoors drawn.patterns fit_palette passages pixels repeats rows < drawn "
    "formats near_images stretches < drawn.__main__ sources < image_sources requests < refusals < "
    "draw < image_draw < __init__",
    "decoding": "citations rules < loop < __init__",
    "models": "adapt.parts attention autocast_norms chat devices gguf_files kv_cache plain_errors "
    "< codec gguf_positions image_codec locate stepping trainable < adapt.compare adapt.head "
    "description gguf_models packed_steps < adapt.decoding adapt.patches adapters chunked_logits "
    "< adapt scoring < unchanged_files < loading < saving < __init__",
}

DOORS = {
    "transformers": {"models"},
    "tokenizers": {"models"},
    "peft": {"models"},
    "gguf": {"models"},
    "datasets": {"data"},
    "pyarrow": {"data"},
    "huggingface_hub": {"hub"},
    "lm_eval": {"downstream"},
    "matplotlib": {"report"},
    "jinja2": {"report", "web"},
    "safetensors": {"models"},
    "sqlalchemy": {"preference"},
    "starlette": {"preference", "web"},
    "fastapi": {"preference"},
    "uvicorn": {"web"},
    "scipy": {"preference"},
    "sklearn": {"data"},
    "PIL": {"data", "png"},
    "regex": {"preference"},
    "tqdm": {"progress"},
    "shtab": {"cli"},
    "pandas": {"report"},
    "sacrebleu": {"metrics"},
    "babel": {"preference"},
    "markdown_it": {"web"},
    "ray": {"studies"},
    "submitit": {"studies"},
    "trackio": {"trackers"},
    "wandb": {"trackers"},
}
TORCH_ROOMS = {
    "decoding",
    "downstream",
    "generate",
    "measuring",
    "metrics",
    "models",
    "stages",
    "studies",
    "trackers",
    "training",
    "writing",
}

by_file = pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
ROOMS = sorted({room(path) for path in FILES})
IN_ROOM = {name: [path for path in FILES if room(path) == name] for name in ROOMS}
BIG_ROOMS = [name for name in ROOMS if len(IN_ROOM[name]) > 2]


def test_every_room_has_a_layer():
    assert set(ROOMS) - set(LEVEL) == set()


@by_file
def test_imports_between_rooms_go_strictly_down(path):
    here = room(path)
    above = [
        name
        for name in imported_modules(path) - {"hyperfitting"}
        if (there := room(MODULES[name])) != here and LEVEL[there] >= LEVEL[here]
    ]
    assert above == [], f"{path} imports {above}"


def group_of(name: str, groups: list[set[str]]) -> tuple[int, str]:
    """The number of a module's group, and the entry that stands for it: its own name or that of a
    folder.
    """
    inside = ".".join(name.split(".")[2:]) or "__init__"
    while True:
        for level, group in enumerate(groups):
            if inside in group:
                return level, inside
        assert "." in inside, f"{name} is in no group of its room in ORDER"
        inside = inside.rpartition(".")[0]


@pytest.mark.parametrize("name", BIG_ROOMS)
def test_imports_inside_a_room_go_strictly_down(name):
    assert name in ORDER, f'add to ORDER:\n    "{name}": "{proposed_order(name)}",'
    groups = [set(group.split()) for group in ORDER[name].split(" < ")]
    for path in IN_ROOM[name]:
        level, entry = group_of(f"hyperfitting.{name}" + inside(path), groups)
        for other in imported_modules(path):
            if room(MODULES[other]) == name:
                below, its_entry = group_of(other, groups)
                assert below < level or its_entry == entry, f"{path} imports {other}"


def inside(path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts[1:]
    return "".join(f".{part}" for part in parts if part != "__init__")


def proposed_order(name: str) -> str:
    """A room's modules in the groups in which they can be loaded."""
    own = {f"hyperfitting.{name}" + inside(path): path for path in IN_ROOM[name]}
    sorter = TopologicalSorter(
        {key: imported_modules(path) & set(own) for key, path in own.items()}
    )
    sorter.prepare()
    groups = []
    while sorter.is_active():
        ready = sorter.get_ready()
        groups.append(
            " ".join(sorted(".".join(each.split(".")[2:]) or "__init__" for each in ready))
        )
        sorter.done(*ready)
    return " < ".join(groups)


@pytest.mark.parametrize("name", BIG_ROOMS)
def test_no_modules_import_each_other_in_a_circle(name):
    """Imports inside functions count too."""
    try:
        assert proposed_order(name)
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_a_circle_is_found():
    sorter = TopologicalSorter({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    with pytest.raises(CycleError):
        sorter.prepare()


@by_file
def test_each_heavy_library_has_one_door(path):
    for name in imported(path):
        top = name.split(".")[0]
        assert room(path) in DOORS.get(top, {room(path)}), f"{path} imports {name}"
        if top == "torch":
            assert room(path) in TORCH_ROOMS, f"{path} imports torch"


def test_no_door_stands_open_that_nobody_uses():
    used = {(name.split(".")[0], room(path)) for path in FILES for name in imported(path)}
    open_ = {(top, each) for top, rooms in DOORS.items() for each in rooms}
    assert open_ <= used, sorted(open_ - used)
    assert {("torch", each) for each in TORCH_ROOMS} <= used
