import numpy as np
import pytest
from scipy import ndimage
from skimage.color import rgb2hed

from cellscaper.datasets.noise import smooth_noise
from cellscaper.datasets.nuclei import NUCLEI
from cellscaper.datasets.render import EOSIN, HAEMATOXYLIN, _develop, render
from cellscaper.errors import CellscaperError

THREE = ("lymphocyte", "epithelial", "stromal")
SIX = ("neutrophil", "epithelial", "lymphocyte", "plasma", "eosinophil", "connective")


def lattice(size, step, label):
    """Cells of one class ``step`` px apart."""
    y, x = np.mgrid[step // 2 : size[0] : step, step // 2 : size[1] : step]
    points = np.stack([y.ravel(), x.ravel()], axis=1).astype(np.float32)
    return points, np.full(len(points), label, np.uint8)


def stains(image):
    """Haematoxylin and eosin (H, W, 2) by least squares in optical density: the inverse of the model."""
    density = -np.log(np.maximum(image, 1) / 245.0)
    vectors = np.array([HAEMATOXYLIN, EOSIN])
    return density @ np.linalg.pinv(vectors)


def nuclei(points, image):
    """Mask of the nuclei under the dots: haematoxylin above halfway between background and dots."""
    amount = ndimage.gaussian_filter(stains(image)[..., 0], 0.7)
    y, x = points.astype(int).T
    level = (np.median(amount) + np.median(amount[y, x])) / 2
    parts, _ = ndimage.label(amount > level)
    return [parts == number for number in np.unique(parts[y, x]) if number]


def test_a_nucleus_is_painted_at_the_pixel_nearest_to_its_dot(hard_points, nearest_centres):
    points = hard_points(96, 40, 0)
    labels = np.arange(40).astype(np.uint8) % 3
    one, other = (
        render(where, labels, (96, 96), THREE, np.random.default_rng(1))
        for where in (points, nearest_centres(points, 96).astype(np.float32))
    )
    assert np.array_equal(one, other)


def areas(label, seed=0):
    points, labels = lattice((240, 260), 34, label)
    image = render(points, labels, (240, 260), THREE, np.random.default_rng(seed))
    return np.array([mask.sum() for mask in nuclei(points, image)])


def test_the_image_has_the_size_asked_for_and_depends_on_the_generator_alone():
    points, labels = lattice((97, 150), 20, 1)
    first, again, other = (render(points, labels, (97, 150), THREE, np.random.default_rng(s)) for s in (3, 3, 4))
    assert first.shape == (97, 150, 3) and first.dtype == np.uint8
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize("name", SIX)
def test_nuclei_are_darker_in_haematoxylin_than_the_tissue_around(name):
    """Independent oracle: scikit-image's colour deconvolution (Ruifrok and Johnston's matrix)."""
    points, labels = lattice((160, 200), 30, SIX.index(name))
    image = render(points, labels, (160, 200), SIX, np.random.default_rng(1))
    amount = rgb2hed(image)[..., 0]
    y, x = points.astype(int).T
    nucleus = np.zeros(amount.shape, bool)
    nucleus[y, x] = True
    distance = ndimage.distance_transform_edt(~nucleus)
    around = amount[distance > 11]
    assert np.median(amount[distance <= 2]) > around.mean() + 2 * around.std()


def test_areas_of_nuclei_are_ordered_as_in_tissue():
    lymphocyte, epithelial, stromal = (np.median(areas(label)) for label in range(3))
    assert lymphocyte < stromal < epithelial
    assert 25 < lymphocyte < 60  # radius 3–4 px at 20×
    assert 70 < epithelial < 150


def test_stromal_nuclei_are_spindles_and_lymphocytes_round():
    def elongation(label):
        points, labels = lattice((240, 260), 34, label)
        masks = nuclei(points, render(points, labels, (240, 260), THREE, np.random.default_rng(2)))
        spread = [np.linalg.eigvalsh(np.cov(np.argwhere(mask).T)) for mask in masks if mask.sum() > 8]
        return np.median([np.sqrt(large / small) for small, large in spread])

    assert elongation(2) > 2
    assert elongation(0) < 1.35


def test_a_line_of_stromal_cells_turns_their_nuclei_along_it():
    along = np.arange(20, 180, 16, dtype=np.float32)
    points = np.stack([along, along], axis=1)  # a diagonal: y grows with x
    image = render(points, np.full(len(points), 2, np.uint8), (200, 200), THREE, np.random.default_rng(5))
    covariance = [np.cov(np.argwhere(mask).T)[0, 1] for mask in nuclei(points, image) if mask.sum() > 8]
    assert np.median(covariance) > 2


def test_an_empty_layout_is_stroma_without_nuclei():
    none = np.zeros((0, 2), np.float32), np.zeros(0, np.uint8)
    image = render(*none, (80, 120), THREE, np.random.default_rng(0))
    assert image.shape == (80, 120, 3)
    amount = stains(image)
    assert amount[..., 1].mean() > amount[..., 0].mean() + 0.15  # pink
    assert amount[..., 0].max() < 0.6


def test_the_middle_of_a_ring_of_epithelial_cells_is_white_and_a_full_disc_is_not():
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    ring = np.rint(80 + 27 * np.stack([np.sin(turn), np.cos(turn)], axis=1)).astype(np.float32)
    image = render(ring, np.ones(16, np.uint8), (160, 160), THREE, np.random.default_rng(0))
    assert image[76:85, 76:85].min() > 200
    disc = np.concatenate([ring, np.float32([[80, 80], [68, 80], [92, 80], [80, 68], [80, 92]])])
    image = render(disc, np.ones(21, np.uint8), (160, 160), THREE, np.random.default_rng(0))
    assert image[70:76, 70:76].min() < 200


def test_cells_in_the_corners_are_painted():
    points = np.float32([[0, 0], [0, 99], [79, 0], [79, 99], [40, 50]])
    image = render(points, np.zeros(5, np.uint8), (80, 100), THREE, np.random.default_rng(0))
    amount = stains(image)[..., 0]
    y, x = points.astype(int).T
    assert (amount[y, x] > 0.8).all()


@pytest.mark.parametrize("stain", [0, 1])
def test_the_strength_of_a_stain_varies_between_images_by_about_a_tenth(stain):
    amount = np.zeros((2, 16, 16), np.float32)
    amount[stain] = 1
    images = [_develop(amount, np.random.default_rng(seed)) for seed in range(60)]
    strength = [np.linalg.norm(np.log(image.mean(axis=(0, 1)) / 245)) for image in images]
    assert np.mean(strength) == pytest.approx(1, abs=0.05)
    assert 0.05 < np.std(strength) < 0.12


def test_a_class_without_a_look_is_refused():
    points, labels = lattice((64, 64), 30, 0)
    with pytest.raises(CellscaperError, match="'adipocyte' has no look"):
        render(points, labels, (64, 64), ("adipocyte",), np.random.default_rng(0))
    assert set(THREE) | set(SIX) == set(NUCLEI)


def test_smooth_noise_has_unit_variance_and_the_correlation_of_two_blurs():
    """White noise blurred by a Gaussian of σ correlates as exp(−d²/4σ²)."""
    fields = np.stack([smooth_noise((90, 70), 6.0, np.random.default_rng(k)) for k in range(300)])
    assert abs(fields.var() - 1) < 0.05
    assert np.allclose(fields.var(axis=0), 1, atol=0.4)
    shifted = (fields[:, 8:] * fields[:, :-8]).mean()
    assert shifted == pytest.approx(np.exp(-(8**2) / (4 * 6**2)), abs=0.04)
