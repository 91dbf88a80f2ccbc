import torch
from torch.nn.functional import cross_entropy

from hyperfitting.models import load_model, score_texts
from hyperfitting.recipe import ModelSettings
from tests.support.scores import token_scores
from tests.support.tiny_models import make_model
from tests.support.training_loop import train_once

CPU = torch.device("cpu")


def trained(tree, ids, tmp_path, name):
    outcome = train_once(tree, ids, tmp_path / name)
    return outcome.model, [(row.loss, row.token_accuracy) for row in outcome.rows]


def test_the_loop_equals_plain_adam_written_out(tree, finished, tmp_path):
    ids = finished.blocks("train").ids_NT
    model, rows = trained(tree, ids, tmp_path, "a")
    plain = load_model(ModelSettings(source=tree["model"]["source"]), CPU)
    adam = torch.optim.Adam(plain.parameters(), lr=3e-3)
    expected = []
    for epoch in range(3):
        order = torch.randperm(16, generator=torch.Generator().manual_seed(epoch))
        for part in order.split(4):
            batch = torch.as_tensor(ids[part]).long()
            logits, targets = plain(batch).logits[:, :-1].flatten(0, 1), batch[:, 1:].flatten()
            loss = cross_entropy(logits, targets)
            loss.backward()
            adam.step()
            adam.zero_grad()
            expected.append((loss.item(), (logits.argmax(-1) == targets).float().mean().item()))
    assert torch.allclose(torch.tensor(rows), torch.tensor(expected), atol=1e-5)
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_order_does_not(tree, finished, tmp_path):
    ids = finished.blocks("train").ids_NT
    first, again = trained(tree, ids, tmp_path, "a")[1], trained(tree, ids, tmp_path, "b")[1]
    assert first == again
    assert trained(tree | {"seed": 1}, ids, tmp_path, "c")[1] != first


def test_dropout_is_off_unless_asked_for(tree, finished, tmp_path, tiny_tokenizer):
    tree["model"]["source"] = str(
        make_model(tmp_path / "gpt2", tiny_tokenizer, "gpt2")
    )  # its config asks for 0.1
    ids = finished.blocks("train").ids_NT
    first_loss, _ = trained(tree, ids, tmp_path, "off")[1][0]
    model = load_model(ModelSettings(source=tree["model"]["source"]), CPU)
    rows = torch.randperm(16, generator=torch.Generator().manual_seed(0))[:4]
    assert abs(float(score_texts(model, ids[rows], batch_blocks=4).loss.mean()) - first_loss) < 1e-5
    tree["train"]["dropout"] = True
    torch.manual_seed(0)
    assert trained(tree, ids, tmp_path, "on")[1][0][0] != first_loss


def test_scores_do_not_depend_on_the_batch(tiny_model, finished):
    model = load_model(ModelSettings(source=str(tiny_model)), CPU)
    ids = finished.blocks("train").ids_NT
    one, many = (score_texts(model, ids, batch_blocks=size) for size in (1, 16))
    assert torch.allclose(one.loss, many.loss, atol=1e-5)
    assert torch.allclose(one.entropy, many.entropy, atol=1e-5)
    batch = torch.as_tensor(ids).long()
    with torch.inference_mode():
        assert torch.allclose(token_scores(model(batch).logits, batch).loss, many.loss, atol=1e-5)
