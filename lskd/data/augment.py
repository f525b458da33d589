"""Augmentation as a function of (key, sample, view): no state, the same pixels on every device and in every batch."""

import hashlib

import torch
import torch.nn.functional as F

_GAMMA = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed number, and so on
_FACTOR_1 = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
_FACTOR_2 = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB


def data_key(name: str, seed: int) -> int:
    """Make the key of a stream of draws, 63 bits, from a name and a seed; stable across versions and machines."""
    digest = hashlib.blake2b(f"{name}\0{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def augment(
    images_nchw: torch.Tensor,
    sample_ids_n: torch.Tensor,
    view: int,
    key: int,
    *,
    crop_padding: int = 0,
    flip: bool = False,
) -> torch.Tensor:
    """Augment uint8 images [N, C, H, W] as the view `view` of the samples `sample_ids_n` (int64 [N]).

    View 0 is the clean image (the very tensor). Any other view is a crop from the image padded with `crop_padding`
    black pixels on each side, each of the (2 p + 1)^2 places equally likely, then a horizontal flip with probability
    1/2. The draws are integers, a hash of (key, sample, view), so a sample's pixels depend on nothing else.
    """
    if view == 0 or not (crop_padding or flip):
        return images_nchw
    channels, height, width = images_nchw.shape[1:]
    draws_n = _draws(sample_ids_n, view, key)
    places = 2 * crop_padding + 1
    place_n = _shift_right(draws_n, 1) % places**2
    rows_nh = torch.arange(height, device=images_nchw.device) + (place_n // places)[:, None]
    columns_nw = torch.arange(width, device=images_nchw.device).expand(len(draws_n), -1)
    if flip:
        columns_nw = torch.where((draws_n & 1).bool()[:, None], width - 1 - columns_nw, columns_nw)
    columns_nw = columns_nw + (place_n % places)[:, None]
    index_np = (rows_nh[:, :, None] * (width + 2 * crop_padding) + columns_nw[:, None, :]).flatten(1)
    padded_ncp = F.pad(images_nchw, (crop_padding,) * 4).flatten(2)
    return padded_ncp.gather(2, index_np[:, None].expand(-1, channels, -1)).unflatten(2, (height, width))


def normalise(images_nchw: torch.Tensor, mean_c: torch.Tensor, std_c: torch.Tensor) -> torch.Tensor:
    """Turn uint8 images [N, C, H, W] into float32 (x / 255 - mean) / std, with mean and std [C] in 0..1."""
    scale_c, offset_c = 1 / (255 * std_c), mean_c / std_c
    return (images_nchw * scale_c[:, None, None]).sub_(offset_c[:, None, None])


def _draws(sample_ids_n: torch.Tensor, view: int, key: int) -> torch.Tensor:
    """Hash (key, sample, view) to 64 random bits each, int64 [N]."""
    hashed_key = _mix(torch.tensor(key))  # on the CPU: a number to a GPU's kernels, no copy to wait for
    return _mix(_mix(hashed_key + sample_ids_n) + view)


def _mix(values: torch.Tensor) -> torch.Tensor:
    """Take one step of SplitMix64 (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators").

    The integer arithmetic wraps around, the same on every device.
    """
    values = values + _GAMMA
    values = (values ^ _shift_right(values, 30)) * _FACTOR_1
    values = (values ^ _shift_right(values, 27)) * _FACTOR_2
    return values ^ _shift_right(values, 31)


def _shift_right(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Shift int64 logically: torch's own shift keeps the sign."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)
