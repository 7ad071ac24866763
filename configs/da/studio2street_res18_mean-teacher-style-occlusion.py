# The embedded pair, a small ResNet, unsupervised: style transfer and a mean teacher
# whose student sees only some of the joints.
_base_ = './studio2street_res18_mean-teacher-style.py'

model = dict(
    adaptations=dict(
        mean_teacher=dict(occlusion=dict(prob=0.05, size=(0.1, 0.2)))))
