# AdaIN in the features of an autoencoder of small images, where VGG-19 is not available
# or too large. configs/style/autoencoder_studio2street.py and then
# adain-light_studio2street.py train its networks.
light_channels = (32, 32, None, 64, 64)  # two sizes, such as 64 and 32 px
adain_light = dict(
    type='AdaINStyle',
    encoder='work_dirs/adain-light_studio2street/iter_1500.pth',
    decoder='work_dirs/adain-light_studio2street/iter_1500.pth',
    channels=light_channels)
