# SURREAL and the 2D joints of MPII (labeled sources) to Human3.6M, in 3D: the rows "w/
# MPII" of Zhang et al., Table 1.
_base_ = ['./surreal2h36m3d.py', '../sets/mpii.py']

source = [
    _base_.surreal3d_train,
    dict(joint_map=_base_.h36m_from_mpii, **_base_.mpii_train),
]
