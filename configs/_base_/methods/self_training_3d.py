# Zhang et al., "Monocular 3D Human Pose Estimation with Domain Feature Alignment and
# Self Training".
dfa = dict(type='DomainFeatureAlignment')  # Sec. 3.2

# Sec. 3.1: the labels of a round are the mean of three predictions, for the image, with
# other colors, and after a rigid transform.
ensemble = dict(
    views=[
        dict(
            type='RandomView', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.05),
        dict(type='RandomView', flip_prob=1.0, scale=(0.9, 1.1), translation=0.05),
    ],
    score='peak')

# Table 2: the share of the most confident people that a round trains on.
policy_60 = dict(initial=0.6, step=0.05, maximum=0.99)
policy_80 = dict(initial=0.8, step=0.05, maximum=0.99)
fixed_60 = dict(initial=0.6, step=0, maximum=0.6)
fixed_80 = dict(initial=0.8, step=0, maximum=0.8)
fixed_100 = dict(initial=1.0, step=0, maximum=1.0)
