import pytest
import torch
from tiny_model import domain_batch

from mmpose_da.models.adaptations import CAFA, FeatureAlignment
from mmpose_da.structures import DomainBatch


@pytest.mark.parametrize("probability", [0.0, 0.5, 1.0])
def test_cafa_gives_the_head_own_or_exchanged_features(probability):
    torch.manual_seed(0)
    batch = domain_batch(source=24, target_unlabeled=24)
    own = batch.features["head"]
    cafa = CAFA(in_channels=8, exchange_prob=probability)
    cafa.neck.source_strength.data.fill_(1.0)
    cafa.neck.target_strength.data.fill_(1.0)
    cafa.adapt(batch)
    exchanged, seen = batch.features["exchanged"], batch.features["head"]
    expected = cafa.neck(own[:24], own[24:])
    torch.testing.assert_close(exchanged, torch.cat(expected))
    is_own = (seen == own).flatten(1).all(1)
    assert ((seen == exchanged).flatten(1).all(1) ^ is_own).all()
    assert abs(is_own.double().mean() - (1 - probability)) < 0.25
    # the loss is on exchanged features, whatever the head receives
    plain = FeatureAlignment().loss(
        DomainBatch(batch.data_samples, batch.images, dict(head=exchanged))
    )
    torch.testing.assert_close(cafa.loss(batch)["loss"], plain["loss"])


def test_wrong_options():
    with pytest.raises(ValueError, match="1.5"):
        CAFA(in_channels=8, exchange_prob=1.5)
