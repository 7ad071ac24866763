# The embedded pair in 3D with a second labeled source: people in a crowd, with 2D
# joints alone, written by tools/render_domains.py --crowd.
_base_ = ['./studio2street3d.py', '../sets/pose3d.py', '../sets/crowd.py']

source = [
    dict(
        type='Pose3dDataset',
        data_root=_base_.synthetic_root + 'studio/',
        ann_file='annotations/pose3d_train.json',
        data_prefix=dict(img='images/')),
    dict(joint_map=_base_.h36m_from_crowdpose, **_base_.crowd_train),
]
