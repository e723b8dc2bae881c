"""Patients with images in test and in another split are named; names that tell no patient raise nothing."""

import pytest

from cellscaper.datasets.patients import on_both_sides, patients


def where(**splits):
    return {image: split for split, images in splits.items() for image in images}


@pytest.mark.parametrize(
    ("train", "test", "shown"),
    [
        (["TCGA-A7-A0DA-01Z_1.png", "b/TCGA-AC-A23E-01Z_2.png"], ["TCGA-A7-A0DA-01Z_9.png"], "TCGA-A7-A0DA"),
        (["patient_03_a.png", "patient_04_a.png"], ["Patient_03_b.png"], "patient_03"),
        (["train/case 7/a.png", "train/case 8/a.png"], ["test/case 7/b.png"], "case 7"),
        (["slide-2_tile_1.png", "slide-3_tile_1.png"], ["slide-2_tile_2.png"], "slide-2"),
        (["p1_a.png", "p2_a.png"], ["p1_b.png"], "p1"),
        (["P01/images/a.png", "P02/images/a.png"], ["P01/images/b.png"], "P01"),
        (["patient_01/slide_1.png", "patient_02/slide_3.png"], ["patient_01/slide_2.png"], "patient_01"),
        (["P01/biopsy1.png", "P02/biopsy3.png"], ["P01/biopsy2.png"], "P01"),
        (["i/slide_1_pat01.png", "i/slide_3_pat02.png"], ["i/slide_2_pat01.png"], "pat01"),
        (["case_1/biopsy_1.png", "case_2/biopsy_3.png"], ["case_1/biopsy_2.png"], "case_1"),
        (["slide_1/biopsy_1.png", "slide_2/biopsy_3.png"], ["slide_1/biopsy_2.png"], "slide_1"),
        (["slide_1/p1.png", "slide_2/p1.png"], ["slide_1/p2.png"], "slide_1"),  # patches
        (["p1_slide_1.png", "p2_slide_3.png"], ["p1_slide_2.png"], "p1"),
        (["mueller/slide_1.png", "meier/slide_1.png", "huber/slide_1.png"], ["meier/slide_2.png"], "meier"),
        (["a/slide_1_x.png", "b/slide_2_x.png", "c/slide_3_x.png"], ["a/slide_4_x.png"], "a"),
        (["train/mueller/a.png", "train/meier/a.png", "train/huber/a.png"], ["test/meier/b.png"], "meier"),
    ],
)  # fmt: skip
def test_a_patient_in_two_splits_is_named(train, test, shown):
    told = on_both_sides(where(train=train, test=test))
    assert told is not None and told.startswith("1 patient or folder has images in test and in other splits")
    assert f": {shown};" in told
    assert on_both_sides(where(train=[*train, *test], val=[])) is None


@pytest.mark.parametrize(
    ("train", "test"),
    [
        (["images/a_1.png", "images/a_2.png"], ["images/a_3.png"]),
        (["train/images/1.png", "train/images/2.png"], ["test/images/1.png"]),
        (["train-0000.png", "train-0001.png"], ["test-0000.png"]),
        (["batch_1/a.png", "batch_2/a.png", "batch_3/a.png"], ["batch_1/b.png"]),
        (["tumor/a.png", "normal/b.png"], ["tumor/c.png"]),
        (["patient_1/a.png", "patient_2/a.png"], ["patient_3/a.png"]),
        (["slide_01.png", "slide_02.png"], ["slide_03.png"]),
        (["images/slide_1.png", "images/slide_2.png", "masks/slide_1.png"], ["images/slide_3.png"]),
        (["patient_1/slide_1.png", "patient_2/slide_1.png"], ["patient_3/slide_1.png"]),
        (["a_p1.png", "b_p1.png", "b_p2.png"], ["c_p1.png"]),  # patches
        (["study_p1_a.png", "study_p1_b.png"], ["study_p1_c.png"]),  # all of one patient, or no patient at all
    ],
)
def test_other_names_raise_nothing(train, test):
    assert on_both_sides(where(train=train, test=test)) is None


def test_names_tell_patients_before_folders():
    found = patients(["left/patient_1_a.png", "right/patient_1_b.png", "right/patient_2.png"])
    assert list(found.values()) == ["patient_1", "patient_1", "patient_2"]


def test_the_check_counts_and_cuts_the_names(world, tmp_path):
    for p in range(5):
        for k in range(2):
            world.save(tmp_path / f"d/patient_{p:02d}", name=f"s_{{:02d}}_{k}.png", n=1)
            world.table(tmp_path / f"d/patient_{p:02d}/s_00_{k}.csv", 0)
    for k, split in enumerate(("train", "test")):
        (tmp_path / f"d/{split}.txt").write_text("".join(f"patient_{p:02d}/s_00_{k}.png\n" for p in range(5)))
    found = world.check(tmp_path / "d", "--mpp", "0.5")
    assert not found.fault
    assert found.complains("5 patients or folders have images in test and in other splits",
                           "patient_00, patient_01, patient_02 and 2 more")  # fmt: skip
