# Rendered people in a studio (labeled source) to Leeds Sports Pose Extended.
# `python tools/render_domains.py` writes the source.
_base_ = './studio2lspet.py'

source = dict(
    data_root=_base_.domain_root + 'synthetic/studio/',
    ann_file='annotations/person_keypoints_train.json')
