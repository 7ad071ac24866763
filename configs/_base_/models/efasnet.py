# EFASNet: Xu et al., "Multi-Person Pose Estimation with Enhanced Feature Aggregation
# and Selection", arXiv 2003.10238. A row is the `model` of a config that extends
# MMPose's SimpleBaseline with a ResNet of depth 50, 101, or 152, whose widths it has.
last_stage = (3, )
all_stages = (0, 1, 2, 3)  # C2 to C5, at the strides 4 to 32

# SimpleBaseline (Xiao et al., ECCV 2018): three deconvolutions on C5.
deconvolutions = dict(
    type='HeatmapHead', in_channels=2048, deconv_out_channels=(256, 256, 256))
# The last layer alone, on features at stride 4.
heatmaps = dict(type='HeatmapHead', in_channels=256, deconv_out_channels=None)
feature_fusion = dict(
    type='FeatureFusion',
    in_channels=(256, 512, 1024, 2048),
    channels=256,
    fusion='add',
    upsample_cfg=dict(type='nearest'))

# Each part alone.
fasm = dict(
    backbone=dict(type='EFASNet', out_indices=last_stage),
    neck=None,
    head=deconvolutions)
ff = dict(
    backbone=dict(type='ResNet', out_indices=all_stages),
    neck=feature_fusion,
    head=heatmaps)
duc = dict(
    backbone=dict(type='ResNet', out_indices=last_stage),
    neck=None,
    head=dict(deconvolutions, type='DUCHead'))

# All parts: FASM in the backbone, FF on its stages, DUC for the upsampling in FF.
efasnet = dict(
    backbone=dict(type='EFASNet', out_indices=all_stages),
    neck=dict(feature_fusion, upsample_cfg=dict(type='DUC')),
    head=heatmaps)
