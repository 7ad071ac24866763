from .lsp_dataset import LspDataset
from .mixed_domain_dataset import MixedDomainDataset
from .samplers import MixedDomainBatchSampler
from .surreal_dataset import SurrealDataset
from .tigdog_dataset import TigDogDataset

__all__ = [
    "LspDataset",
    "MixedDomainBatchSampler",
    "MixedDomainDataset",
    "SurrealDataset",
    "TigDogDataset",
]
