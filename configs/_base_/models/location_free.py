# Location-free pose estimation: Xu et al., "Location-free Human Pose Estimation", CVPR
# 2022. The parts of the head, each of which a row can leave out. The paper's abstract
# gives none of these numbers; docs/location_free.md lists the alternatives.
location_free_head = dict(
    _delete_=True, type='LocationFreeHead', channels=256, pool=dict(kind='mass'))
encoder = dict(num_layers=2, num_heads=8, guide='bias')
prototypes = dict(temperature=0.1, location='product', classify=False)
relations = dict(kind='graph', num_blocks=1)

# Part labels: which joints each of eight random parts of a person's box shows.
part_crops = dict(count=8, share=(0.3, 0.8), aspect_ratio=1.0)
# Images of whole people, in which the parts are marked.
augmentations = [
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform', shift_prob=0, scale_factor=(1.0, 1.25),
        rotate_factor=20),
]
mark_parts = dict(type='MarkPartCrops')
# Or each part is an image: three in four show one, with everything else blank, so that
# joints are as large as in an image of the whole person.
show_parts = dict(type='RandomPartCrop', prob=0.75, zoom=False)
