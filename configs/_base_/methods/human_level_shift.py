# Xu et al., "Alleviating Human-level Shift: A Robust Domain Adaptation Method for
# Multi-person Pose Estimation", ACM MM 2020. The weights of 0.5 are the paper's, for a
# pose loss that is the squared distance of heatmaps (Eq. 12).
cafa = dict(
    type='CAFA',  # Sec. 3.2
    neck=dict(type='CAFANeck'),
    loss=dict(type='MMDLoss'),
    weight=0.5)
isa = dict(
    type='ISA',  # Sec. 3.3; needs labeled target images
    compare='heatmap',
    weight=0.5)
ihta = dict(
    type='IHTA',  # Sec. 3.4
    head=dict(type='TopologyHead', channels=128, num_blocks=4),
    loss=dict(type='IHTALoss', share=0.1),
    weight=0.5)
# A ResNet's last features, at stride 32, blend the joints; its decoder's do not.
resnet_ihta = dict(ihta, feature='head.deconv_layers', in_channels=256)
entropy = dict(
    type='EntropyMinimization',  # Sec. 3.5
    # With a temperature of 1, the softmax of a heatmap, whose peak is at most 1, is
    # nearly uniform, and the term has no effect.
    loss=dict(type='EntropyLoss', temperature=0.1),
    weight=0.01)
