# Jiang et al., "Regressive Domain Adaptation for Unsupervised Keypoint Detection", CVPR
# 2021, with the settings of its code. One backward pass has the gradients of its three
# steps.
regda = dict(
    type='RegDA',
    margin=4.0,
    gradient=0.1,
    # 2 / (1 + exp(-i / 1000)) - 1 in a run of 15,000 iterations, and the same curve in
    # shorter and longer ones.
    rampup=dict(curve='sigmoid', end=2 / 3),
    weight=1.0)

# Regressors of two layers, whose output are logits.
regda_head = dict(
    type='LogitHeatmapHead',
    conv_kernel_sizes=(3, ),
    loss=dict(_delete_=True, type='KeypointKLLoss'))
