# Leeds Sports Pose; `python tools/dataset_converters/lsp.py` writes the annotations.
# Boxes are whole images.
lsp_all = dict(
    type='LspDataset',
    data_root='{{$MMPOSE_DA_DATA:data}}/lsp/',
    ann_file='annotations/lsp_all.json',
    data_prefix=dict(img='images/'))
# The set's own halves.
lsp_train = dict(lsp_all, ann_file='annotations/lsp_train.json')
lsp_test = dict(lsp_all, ann_file='annotations/lsp_test.json', test_mode=True)
