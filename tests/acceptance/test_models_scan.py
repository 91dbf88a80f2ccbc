"""Every type of transformers' causal table, as docs/reference/architectures.md has it: some ten
minutes on two cores.
"""

import pytest

from tests.support.causal_models import model_types
from tests.support.scan import EQUAL, NOT_BUILT, PLAIN, REFUSED, counts, markdown, scan_all
from tests.support.source import ROOT

pytestmark = pytest.mark.slow
PAGE = ROOT / "docs" / "reference" / "architectures.md"


@pytest.mark.filterwarnings("ignore")  # of transformers, about its own models
def test_each_type_is_equal_to_generate_or_refused_for_a_reason(capsys):
    rows = scan_all()
    found = counts(rows)
    with capsys.disabled():
        print(f"\n{dict(found)} of {len(model_types())} types")
    assert {row.outcome for row in rows} <= {EQUAL, REFUSED, NOT_BUILT, PLAIN}
    assert found[EQUAL] >= 108
    assert found[NOT_BUILT] <= 60
    assert found[EQUAL] + found[REFUSED] + found[NOT_BUILT] == len(model_types())
    equal = {row.name for row in rows if row.outcome == EQUAL}
    assert {"falcon", "mamba", "rwkv", "recurrent_gemma", "openai-gpt", "diffllama"} <= equal
    assert all(row.remark for row in rows if row.outcome in (REFUSED, NOT_BUILT))
    assert PAGE.read_text(encoding="utf-8") == markdown(rows) + "\n"
