# The rendered street, a small ResNet: part-aware class activation maps alone, where
# each part is shown as an image of its own.
_base_ = './street_res18_cam.py'

model = dict(head=dict(pool=dict(_delete_=True, kind='lse')))

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            *_base_.train_pipeline[:4],
            _base_.show_parts,
            _base_.train_pipeline[4],
            *_base_.train_pipeline[6:],
        ]))
val_dataloader = dict(
    dataset=dict(
        part_pipeline=[
            *_base_.val_pipeline[:2],
            dict(_base_.show_parts, prob=1.0),
            *_base_.val_pipeline[2:],
        ]))
