"""People in a folder of images, a video, or a COCO file: see ``run``."""
