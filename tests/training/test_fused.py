"""The bench of fused members: they are the solo ones, up to rounding."""

import pytest
import torch

from workflow.bench import fused

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return fused.prepared(tmp_path_factory.mktemp("bench") / "data-0000000000", images=64 * 4, side=28)


@pytest.mark.parametrize("model", fused.MODELS, ids=lambda model: f"{model['name']}-w{model['width']}")
def test_an_epoch_of_fused_members_is_that_of_each_alone(model, data, tmp_path):
    alone, losses = fused.members(tmp_path, data, CPU, model, 3)
    together = fused.Fused(fused.members(tmp_path, data, CPU, model, 3)[0])
    batches = list(alone[0].source.batches(alone[0].batches_of(0)))
    fused_sm = torch.stack([together.step(batch, losses) for batch in batches])
    for member, (training, loss) in enumerate(zip(alone, losses, strict=True)):
        solo_s = []

        def kept(logits_nk, batch, loss=loss, solo_s=solo_s):
            solo_s.append(loss(logits_nk, batch))
            return solo_s[-1]

        for batch in batches:
            training._step(batch, len(batch.ids_n), kept)
        torch.testing.assert_close(fused_sm[:, member], torch.stack(solo_s).detach(), rtol=1e-4, atol=0)
        for name, weight in training.model.state_dict().items():
            stacked = (together.weights | together.buffers)[name][member]
            torch.testing.assert_close(stacked.detach(), weight, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(fused_sm[:, 0], fused_sm[:, 1], rtol=1e-2)


def test_a_row_names_its_network(data, tmp_path):
    assert fused.row(tmp_path, data, CPU, {"name": "mlp", "width": 16}, 2, 1).split()[:2] == ["mlp-w16", "2"]
