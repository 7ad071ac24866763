# The embedded pair, a small ResNet, target with part labels only: which joints each of
# a few random parts of a person shows, between unsupervised and semi-supervised. The
# mass of the heatmaps in each part is classified.
_base_ = [
    './studio2street_res18_mixed.py',
    '../_base_/models/location_free.py',
]

model = dict(
    adaptations=dict(parts=dict(type='PartClassification', weight=1.0)))

train_dataloader = dict(
    dataset=dict(
        target=dict(labels='parts', part_crops=_base_.part_crops),
        pipeline=[
            *_base_.train_pipeline[:5],
            dict(_base_.mark_parts, use_udp=True),
            *_base_.train_pipeline[5:],
        ]))
