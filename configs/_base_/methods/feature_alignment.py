# Baselines for the human-level method, each added alone to the same model.
# Long et al., "Learning Transferable Features with Deep Adaptation Networks", ICML 2015
dan = dict(type='FeatureAlignment', loss=dict(type='MMDLoss'), weight=0.5)

# Ganin et al., "Domain-Adversarial Training of Neural Networks", JMLR 2016
dann = dict(
    type='DomainAdversarial',
    discriminator=dict(type='GlobalDomainDiscriminator'),
    reversal=0.1,
    rampup=dict(curve='sigmoid'))

# Saito et al., "Strong-Weak Distribution Alignment for Adaptive Object Detection",
# CVPR 2019: strong alignment of local, low-level features, weak of global ones
strong_local = dict(
    type='DomainAdversarial',
    feature='backbone.layer1',
    discriminator=dict(type='LocalDomainDiscriminator', in_channels=256),
    loss=dict(type='AdversarialLoss', mode='least_squares'),
    reversal=0.1,
    rampup=dict(curve='sigmoid'))
weak_global = dict(
    type='DomainAdversarial',
    discriminator=dict(type='GlobalDomainDiscriminator'),
    loss=dict(type='AdversarialLoss', mode='focal', gamma=3.0),
    reversal=0.1,
    rampup=dict(curve='sigmoid'))
