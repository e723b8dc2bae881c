"""Splits belong to names: lists in any form, folders, tables; a list that names nothing is an error."""

import json

import pytest

from cellscaper.datasets.identity import Names, image_ids

SPLIT = {"train": range(3), "val": range(3, 4), "test": range(4, 6)}
RIGHT = {f"s_{i:02d}": split for split, part in SPLIT.items() for i in part}


def lists(folder, name="{}.txt", entry="s_{:02d}", head=""):
    for split, part in SPLIT.items():
        path = folder / name.format(split)
        path.parent.mkdir(exist_ok=True)
        path.write_text(head + "".join(entry.format(i) + "\n" for i in part), encoding="utf-8")


@pytest.mark.parametrize("name", ["{}.txt", "brca_{}.txt", "{}_list.txt", "splits/{}.txt", "{}.csv", "split_{}.lst"])
def test_lists_of_any_name(world, tmp_path, name):
    folder = world.plain(tmp_path / "d")
    lists(folder, name)
    result = world.check(folder)
    assert world.right(result) and result.splits == RIGHT
    assert not result.complains("not used")


@pytest.mark.parametrize(
    ("entry", "head"),
    [("s_{:02d}.png", ""), ("/home/x/images/s_{:02d}.tif", ""), (".\\img\\s_{:02d}.png", ""),
     ("s_{:02d}.png,1", "image,fold\n"), ("s_{:02d}.csv", ""), ("S_{:02d}.PNG", ""), ('"s_{:02d}"', "")],
)  # fmt: skip
def test_entries_with_and_without_folder_and_ending(world, tmp_path, entry, head):
    folder = world.plain(tmp_path / "d")
    lists(folder, "{}.csv" if head else "{}.txt", entry, head)
    assert world.check(folder).splits == RIGHT


def test_names_with_dots_and_names_that_begin_alike(world, tmp_path):
    world.save(tmp_path / "d", "a.1.{}.png")
    for i in range(world.n):
        world.table(tmp_path / f"d/a.1.{i}.csv", i)
    for split, part in SPLIT.items():
        (tmp_path / f"d/{split}.txt").write_text("\n".join(f"a.1.{i}" for i in part))
    assert list(world.check(tmp_path / "d").splits.values()) == list(RIGHT.values())


def test_a_table_with_a_column_of_splits(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    rows = [f"{name}.png,{split},x" for name, split in RIGHT.items()]
    (folder / "split.csv").write_text("image,split,note\n" + "\n".join(rows))
    result = world.check(folder)
    assert result.splits == RIGHT and result.settings["split"]["val"] == "split.csv"


@pytest.mark.parametrize("wrong", ["trian", ""])
def test_one_entry_that_is_no_split_stops_with_its_line(world, tmp_path, wrong):
    folder = world.plain(tmp_path / "d")
    rows = [f"{name}.png,{wrong if name == 's_01' else split}" for name, split in RIGHT.items()]
    (folder / "split.csv").write_text("image,split\n" + "\n".join(rows))
    fault = world.check(folder).fault
    assert f"split.csv:3: {wrong!r} is no split, as 5 other lines have in this column" in fault


def test_a_table_of_other_things_that_says_test_and_train_stops_nothing(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    (folder / "runs.csv").write_text("run,stage\na,train\nb,test\nc,train\nd,other\n")
    assert world.right(world.check(folder))


def test_an_object_of_splits(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    parts = {split: [f"s_{i:02d}" for i in part] for split, part in SPLIT.items()}
    (folder / "splits.json").write_text(json.dumps(parts))
    assert world.check(folder).splits == RIGHT


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "Valid", "Testing"), ("1_train", "2_val", "3_test")]
)
@pytest.mark.parametrize("inner", ["{}/s_{:02d}.png", "{}/HE/s_{:02d}.png", "images/{}/s_{:02d}.png"])
def test_folders_named_after_splits(world, tmp_path, names, inner):
    for name, part in zip(names, SPLIT.values(), strict=True):
        for i in part:
            path = tmp_path / "d" / inner.format(name, i)
            path.parent.mkdir(parents=True, exist_ok=True)
            world.image(i).save(path)
            world.table(path.with_suffix(".csv"), i)
    result = world.check(tmp_path / "d")
    assert world.right(result) and {name.split("/")[-1]: one for name, one in result.splits.items()} == RIGHT


def test_the_same_names_in_two_folders_are_two_images(world, tmp_path):
    for name, part in (("train", range(4)), ("test", range(4, 6))):
        for k, i in enumerate(part):
            (tmp_path / "d" / name).mkdir(parents=True, exist_ok=True)
            world.image(i).save(tmp_path / f"d/{name}/s_{k}.png")
            world.table(tmp_path / f"d/{name}/s_{k}.csv", i)
    result = world.check(tmp_path / "d")
    assert result.counts == world.counts()
    assert result.splits["test/s_0"] == "test" and result.splits["train/s_0"] in ("train", "val")
    assert sorted(result.splits.values()) == ["test"] * 2 + ["train"] * 3 + ["val"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"train.txt": "x\ny\n", "val.txt": "z\n", "test.txt": "u\n"}, "is no image of the folder"),
        ({"train.txt": "s_00\ns_01\nx\n", "test.txt": "s_02\n"}, "is no image of the folder"),
        ({"train.txt": "s_00\n"}, "none of the test images"),
        ({"test.txt": "s_00\n"}, "none of the train images"),
        ({"train.txt": "s_00\n", "splits/train.txt": "s_01\n", "test.txt": "s_02\n"}, "both list train images"),
        ({"train.txt": "s_00\ns_01\n", "test.txt": "s_01\n"}, "is also in"),
    ],
)
def test_lists_that_do_not_fit_are_errors_never_a_random_split(world, tmp_path, files, words):
    folder = world.plain(tmp_path / "d")
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    assert words in world.check(folder).fault


def test_images_in_no_list_are_counted(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    lists(folder)
    (folder / "test.txt").write_text("s_05\n")
    result = world.check(folder)
    assert len(result.records) == 5 and result.complains("1 image is in no list and left out (s_04.png)")


def test_texts_about_training_are_no_lists(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    (folder / "train_log.txt").write_text("epoch 1\nepoch 2\n")
    (folder / "test_results.csv").write_text("image,f1\ns_00,0.5\ns_01,0.6\n")
    result = world.check(folder)
    assert world.right(result) and "split" in result.settings and result.settings["split"]["seed"] == 0


def test_names_are_found_by_their_longest_end():
    names = Names(["train/a.png", "test/a.png", "test/b.c.png"])
    assert names.find("train/a.png") == ["train/a.png"] and names.find("/x/test/a") == ["test/a.png"]
    assert names.find("b.c") == ["test/b.c.png"] and len(names.find("a")) == 2
    assert names.find("b.c.png - Series 1") == ["test/b.c.png"] and not names.find("c") and not names.find("")
    assert names.find("b.c.svs") == ["test/b.c.png"] and not names.find("b.c.d") and not names.find("a.2")
    assert image_ids(["x/a.png", "y/a.png", "y/b.png"]) == {"x/a.png": "x/a", "y/a.png": "y/a", "y/b.png": "b"}


def test_a_table_with_a_column_for_each_split(world, tmp_path):
    """CLAM's splits_0.csv: names below train, val and test."""
    folder = world.plain(tmp_path / "d")
    (folder / "splits_0.csv").write_text(",train,val,test\n0,s_05,s_04,s_00\n1,s_03,,s_01\n2,s_02,,\n")
    wanted = {"s_05": "train", "s_03": "train", "s_02": "train", "s_04": "val", "s_00": "test", "s_01": "test"}
    assert world.check(folder).splits == wanted
    rows = [f"{name},{split == 'train'},{split == 'val'},{split == 'test'}" for name, split in wanted.items()]
    (folder / "splits_0.csv").write_text("\n".join([",train,val,test", *rows]))
    assert world.check(folder).splits == wanted


def test_a_table_of_images_with_splits_under_any_name(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    rows = [f"s_{i:02d}.png,p{i},{('test', 'train')[i > 1]}" for i in range(world.n)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,patient,split", *rows]))
    found = world.check(folder)
    assert [found.splits[f"s_{i:02d}"] == "test" for i in range(world.n)] == [i < 2 for i in range(world.n)]


def test_folds_are_no_split_and_said(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    rows = [f"s_{i:02d}.png,{i % 3}" for i in range(world.n)]
    (folder / "folds.csv").write_text("\n".join(["image,fold", *rows]))
    assert world.check(folder).complains("folds.csv", "no column puts them into train, val and test")


def test_lists_that_contradict_folders_count_and_are_said(world, tmp_path):
    for i in range(world.n):
        part = tmp_path / "d" / ("train" if i < 4 else "test")
        part.mkdir(parents=True, exist_ok=True)
        world.image(i).save(part / f"s_{i:02d}.png")
        world.table(part / f"s_{i:02d}.csv", i)
    (tmp_path / "d/train.txt").write_text("s_00\ns_01\ns_02\ns_05\n")
    (tmp_path / "d/test.txt").write_text("s_03\ns_04\n")
    found = world.check(tmp_path / "d")
    assert found.splits["s_03"] == "test" and found.splits["s_05"] != "test"
    assert found.complains("the lists put 2 images into other splits than their folders do")


@pytest.mark.parametrize("sign", [",", " ", ", ", "\t"])
def test_a_list_on_one_line(world, tmp_path, sign):
    folder = world.plain(tmp_path / "d")
    for split, part in SPLIT.items():
        (folder / f"{split}.txt").write_text(sign.join(f"s_{i:02d}" for i in part) + "\n")
    assert world.check(folder).splits == RIGHT


@pytest.mark.parametrize("head", ["filename", '\ufeff"image"', "Slide"])
def test_a_list_of_one_column_with_a_header(world, tmp_path, head):
    folder = world.plain(tmp_path / "d")
    lists(folder, "{}.csv", "s_{:02d}.png", f"{head}\n")
    assert world.check(folder).splits == RIGHT


def test_short_words_in_a_column_of_splits(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    rows = [f"{name},{split[:2]}" for name, split in RIGHT.items()]
    (folder / "split.csv").write_text("\n".join(["image,split", *rows]))
    assert world.check(folder).splits == RIGHT


@pytest.mark.parametrize("values", [("True", "False"), ("1", "0")])
def test_a_column_that_flags_test_images(world, tmp_path, values):
    folder = world.plain(tmp_path / "d")
    rows = [f"{name},{values[split != 'test']}" for name, split in RIGHT.items()]
    (folder / "split.csv").write_text("\n".join(["image,is_test", *rows]))
    splits = world.check(folder).splits
    assert {name for name, split in splits.items() if split == "test"} == {"s_04", "s_05"}


def test_a_table_of_splits_that_says_none_is_an_error(world, tmp_path):
    folder = world.plain(tmp_path / "d")
    (folder / "split.csv").write_text("\n".join(["image,fold", *(f"{name},{k % 3}" for k, name in enumerate(RIGHT))]))
    assert "no column puts them into train, val and test" in world.check(folder).fault


@pytest.mark.parametrize("name", ["{split}_{i:02d}.png", "s{i}_{split}.png"])
def test_names_of_images_that_say_a_split_are_told(world, tmp_path, name):
    folder = tmp_path / "d"
    folder.mkdir()
    for i, split in enumerate(RIGHT.values()):
        path = folder / name.format(i=i, split=split)
        world.image(i).save(path)
        world.table(path.with_suffix(".csv"), i)
    assert world.check(folder).complains("the names of 6 images say a split", "made at random")


@pytest.mark.parametrize("n", [1, 2])
def test_lists_may_name_the_folders_of_patients(world, tmp_path, n):
    folder = tmp_path / "d"
    for i in range(world.n):
        path = folder / f"patient_{i // n}" / f"s_{i:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        world.image(i).save(path)
        world.table(path.with_suffix(".csv"), i)
    splits = {"train": range(4), "test": range(4, 6)}
    for split, part in splits.items():
        (folder / f"{split}.txt").write_text("".join(f"patient_{k}\n" for k in sorted({i // n for i in part})))
    found = world.check(folder).splits
    assert {name for name, split in found.items() if split == "test"} == {"s_04", "s_05"}


def test_names_of_ome_tiff_and_numbers_as_pandas_writes_them():
    names = Names(["a/slide.ome.tif", "a/7.png"])
    assert names.find("slide") == names.find("slide.ome") == names.find("slide.ome.tif") == ["a/slide.ome.tif"]
    assert names.find("7.0") == ["a/7.png"] and names.find("7.5") == []
    assert image_ids(["a/slide.ome.tif"]) == {"a/slide.ome.tif": "slide"}
