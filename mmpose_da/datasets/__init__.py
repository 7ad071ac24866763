from .annotation_file import AnnotationError
from .load_intact_image import LoadIntactImage
from .lsp_dataset import LspDataset
from .mixed_domain_dataset import MixedDomainDataset
from .mpii_dataset import ZeroBasedMpiiDataset
from .people import Labels
from .pseudo_labels import PseudoLabels
from .samplers import MixedDomainBatchSampler
from .surreal_dataset import SurrealDataset
from .tigdog_dataset import TigDogDataset

__all__ = [
    "AnnotationError",
    "Labels",
    "LoadIntactImage",
    "LspDataset",
    "MixedDomainBatchSampler",
    "MixedDomainDataset",
    "PseudoLabels",
    "SurrealDataset",
    "TigDogDataset",
    "ZeroBasedMpiiDataset",
]
