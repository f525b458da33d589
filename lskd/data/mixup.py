"""Mixup (Zhang 2018, "mixup: Beyond Empirical Risk Minimization"), keyed by sample and draw, not by batch.

A sample's partner and share are functions of (key, sample, draw), so a teacher's logits on the blended image can be
stored; in the paper a batch is blended with its own permutation, by one share.
"""

import numpy as np
import torch
from scipy.special import betaincinv

from lskd.data.augment import Draw


def mixup(
    images_nchw: torch.Tensor, others_nchw: torch.Tensor, draw: Draw, alpha: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """lambda x_i + (1 - lambda) x_j of normalised images, and lambda float32 [N], drawn from Beta(alpha, alpha)."""
    uniform_n = draw.uniform("mixup").cpu().numpy()
    share_n = torch.from_numpy(np.asarray(betaincinv(alpha, alpha, uniform_n), np.float32)).to(images_nchw.device)
    share_n111 = share_n[:, None, None, None]
    return share_n111 * images_nchw + (1 - share_n111) * others_nchw, share_n
