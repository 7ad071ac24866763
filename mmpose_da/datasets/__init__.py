from .lsp_dataset import LspDataset
from .mixed_domain_dataset import MixedDomainDataset
from .samplers import MixedDomainBatchSampler

__all__ = ["LspDataset", "MixedDomainBatchSampler", "MixedDomainDataset"]
