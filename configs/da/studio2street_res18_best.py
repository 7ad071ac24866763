# The embedded pair, a small ResNet, unsupervised: what does best.
_base_ = ['./studio2street_res18_mixed.py', '../_base_/methods/best.py']

# In 500 iterations, the teacher has to follow faster.
model = dict(
    adaptations=dict(mean_teacher=dict(_base_.best_teacher, momentum=0.98)),
    test_cfg=dict(network='teacher'))

custom_hooks = [*_base_.custom_hooks, _base_.ema_teacher_hook]
