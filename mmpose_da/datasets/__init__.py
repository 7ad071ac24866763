from .annotation_file import AnnotationError
from .depth import DepthConverter, TransformDepth
from .load_intact_image import LoadIntactImage
from .lsp_dataset import LspDataset
from .mixed_domain_dataset import MixedDomainDataset
from .mpii_dataset import ZeroBasedMpiiDataset
from .part_crop import MarkPartCrops, PartCrops, RandomPartCrop
from .people import Labels
from .pose_3d_dataset import Pose3dDataset
from .pseudo_labels import PseudoLabels
from .samplers import MixedDomainBatchSampler
from .surreal_dataset import SurrealDataset
from .tigdog_dataset import TigDogDataset
from .whole_and_part_crops import WholeAndPartCrops

__all__ = [
    "AnnotationError",
    "DepthConverter",
    "Labels",
    "LoadIntactImage",
    "LspDataset",
    "MarkPartCrops",
    "MixedDomainBatchSampler",
    "MixedDomainDataset",
    "PartCrops",
    "Pose3dDataset",
    "PseudoLabels",
    "RandomPartCrop",
    "SurrealDataset",
    "TigDogDataset",
    "TransformDepth",
    "WholeAndPartCrops",
    "ZeroBasedMpiiDataset",
]
