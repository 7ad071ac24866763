# The rendered street, a small ResNet: with the context encoder.
_base_ = './street_res18_cam.py'

# Heads of 16 channels: with fewer, attention is slow on a CPU.
model = dict(head=dict(encoder=dict(_base_.encoder, num_heads=4)))
