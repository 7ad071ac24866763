# The embedded pair in 3D with a second labeled source: people in a crowd, with 2D
# joints alone, written by tools/render_domains.py --crowd.
_base_ = ['./studio2street3d.py', '../sets/pose3d.py', '../sets/crowd.py']

source = [
    _base_.source,
    dict(joint_map=_base_.h36m_from_crowdpose, **_base_.crowd_train),
]
