# The embedded pair, a small ResNet, unsupervised: a mean teacher whose student sees a
# weaker view.
_base_ = './studio2street_res18_mean-teacher.py'

model = dict(
    adaptations=dict(
        mean_teacher=dict(
            student_view=dict(rotation=15, scale=(0.9, 1.1), shear=0))))
