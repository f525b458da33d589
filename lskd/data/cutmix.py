"""CutMix (Yun 2019, "CutMix: Regularization Strategy to Train Strong Classifiers"), keyed by sample and draw.

A sample's partner, box and share are functions of (key, sample, draw), as in `lskd.data.mixup`; in the paper a batch is
blended with its own permutation, by one box.
"""

import numpy as np
import torch
from scipy.special import betaincinv

from lskd.data.augment import Draw


def cutmix(
    images_nchw: torch.Tensor, others_nchw: torch.Tensor, draw: Draw, alpha: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The image with a box of the other in it, and its true share of the pixels, float32 [N].

    The box has sides of sqrt(1 - lambda) of the image's (eq. 2), with lambda drawn from Beta(alpha, alpha), its centre
    equally likely at each pixel, and is cut off at the border, as in the paper's code.
    """
    uniform_n = draw.uniform("cutmix").cpu().numpy()
    side_n = torch.from_numpy(np.sqrt(1 - betaincinv(alpha, alpha, uniform_n))).to(images_nchw.device)
    masks = []
    for stream, length in zip(("cutmix down", "cutmix right"), images_nchw.shape[2:], strict=True):
        own_length = round(length / draw.scale)  # of the images that the augmentation was chosen for
        centre_n = (draw.uniform(stream) * own_length).long()
        half_n = (side_n * own_length).long() // 2
        first_n, last_n = ((centre_n + sign * half_n).clamp(0, own_length) for sign in (-1, 1))
        if draw.scale != 1:
            first_n, last_n = (torch.round(edge_n * draw.scale).long() for edge_n in (first_n, last_n))
        place_l = torch.arange(length, device=images_nchw.device)
        masks.append((place_l >= first_n[:, None]) & (place_l < last_n[:, None]))
    is_other_nhw = masks[0][:, :, None] & masks[1][:, None, :]
    share_n = 1 - is_other_nhw.flatten(1).float().mean(1)
    return torch.where(is_other_nhw[:, None], others_nchw, images_nchw), share_n
