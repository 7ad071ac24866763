# The optimizer of Jiang et al., CVPR 2021: the features learn at a tenth of the
# regressors' rate. The adversarial regressor takes part as the main one.
regda_optimizer = dict(
    optimizer=dict(
        _delete_=True, type='SGD', lr=0.1, momentum=0.9, nesterov=True,
        weight_decay=1e-4),
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.1),
            'head.deconv_layers': dict(lr_mult=0.1)
        }))
regda_schedule = [
    dict(type='InverseDecayLR', gamma=1e-4, power=0.75, by_epoch=False)
]
