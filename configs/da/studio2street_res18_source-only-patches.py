# The embedded pair, a small ResNet, on the source alone: patches of other source images
# hide parts. What `patches` gains over this row comes from the target.
_base_ = [
    './studio2street_res18_source-only.py',
    '../_base_/methods/best.py',
]

model = dict(adaptations=dict(patches=dict(_base_.patches, patch='source')))
