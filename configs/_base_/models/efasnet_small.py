# EFASNet's parts at a quarter of a ResNet-50's width, for the rendered sets; see
# efasnet.py. With all parts, the network has fewer parameters than the baseline, and as
# many multiply-adds.
last_stage = (3, )
all_stages = (0, 1, 2, 3)

# The baseline; a row is the `model` of a config that extends it.
resnet = dict(
    type='ResNet',
    stem_channels=16,
    base_channels=16,
    out_indices=last_stage,
    init_cfg=None)
deconvolutions = dict(
    type='HeatmapHead', in_channels=512, deconv_out_channels=(64, 64, 64))
heatmaps = dict(type='HeatmapHead', in_channels=48, deconv_out_channels=None)
feature_fusion = dict(
    type='FeatureFusion',
    in_channels=(64, 128, 256, 512),
    channels=48,
    fusion='add',
    upsample_cfg=dict(type='nearest'))

fasm = dict(backbone=dict(type='EFASNet'))
ff = dict(
    backbone=dict(out_indices=all_stages), neck=feature_fusion, head=heatmaps)
duc = dict(head=dict(type='DUCHead'))
efasnet = dict(
    backbone=dict(type='EFASNet', out_indices=all_stages),
    neck=dict(feature_fusion, upsample_cfg=dict(type='DUC')),
    head=heatmaps)
