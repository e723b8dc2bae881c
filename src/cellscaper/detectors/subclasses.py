"""Sub-classes of cells for MCSpatNet: k-means, class by class, on the network's features at the cell centres."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from torch import Tensor

from cellscaper.detectors.data import TrainingData, cell_pixels, to_input


class SeesCells(Protocol):
    """A network that gives features (B, F, H, W) of images (B, 3, H, W)."""

    training: bool

    def cell_features(self, images: Tensor) -> Tensor: ...
    def eval(self) -> "SeesCells": ...
    def train(self, mode: bool = True) -> "SeesCells": ...


@torch.no_grad()
def features_at_cells(model: SeesCells, data: TrainingData, device: torch.device) -> NDArray[np.float32]:
    """(N, F) features at the pixels of all training cells, from whole images without augmentation."""
    mode = model.training
    model.eval()
    found = []
    for image, layout in zip(data.images, data.layouts, strict=True):
        whole = model.cell_features(to_input(image[None].to(device)))[0]  # (F, H, W)
        y, x = cell_pixels(layout)
        found.append(whole[:, torch.from_numpy(y).to(device), torch.from_numpy(x).to(device)].T.float().cpu().numpy())
    model.train(mode)
    return np.concatenate(found)


def cluster(model: SeesCells, data: TrainingData, centroids: Tensor) -> Tensor:
    """The sub-class (N,) int64 of every training cell: class · k + cluster.

    k-means starts from the centroids (C, k, F) and overwrites them with its result. They are NaN before the first call,
    which starts from a fixed seed. A class with fewer cells than k has as many clusters as cells.
    """
    classes, k, _ = centroids.shape
    features = features_at_cells(model, data, centroids.device)
    labels = data.labels.numpy()
    found = np.zeros(len(labels), np.int64)
    for label in range(classes):
        own = np.flatnonzero(labels == label)
        n = min(k, len(own))
        if not n:
            continue
        start = centroids[label, :n].cpu().numpy()
        first = bool(np.isnan(start).any())
        means = KMeans(n, init="k-means++" if first else start, n_init=1, random_state=0).fit(features[own])
        centroids[label, :n] = torch.from_numpy(means.cluster_centers_).to(centroids)
        found[own] = label * k + means.labels_
    return torch.from_numpy(found)
