"""A split is read in one order, and every fault of it is told at once with its place."""

import json
import shutil
import tarfile

import pytest
from PIL import Image
from tiny_split import FRAMES, HEIGHT, WIDTH, meta, write_meta

from submission.dataset.mevis import META_FILES, read_split
from submission.errors import FaultyInput


def faults_of(folder, **options):
    with pytest.raises(FaultyInput) as caught:
        read_split(folder.parent, folder.name, **options)
    return [str(fault) for fault in caught.value.faults]


def change_meta(folder, change):
    """Write the meta file again after `change` has edited it."""
    value = meta()
    change(value["videos"])
    write_meta(folder, value)


def test_the_order_is_videos_as_listed_and_expressions_by_number(split):
    assert [video.name for video in split.videos] == ["dogs", "cups"]
    assert [expression.id for expression in split.videos[0].expressions] == ["0", "2", "10"]
    assert split.videos[0].size == (HEIGHT, WIDTH)
    assert (split.num_sentences, split.num_frames, split.num_masks) == (4, 5, 11)
    assert split.mask_file == split.folder / "mask_dict.json"


def test_ids_that_are_not_all_numbers_are_sorted_as_text(split_folder):
    def rename(videos):
        videos["dogs"]["expressions"]["b"] = videos["dogs"]["expressions"].pop("0")

    change_meta(split_folder, rename)
    split = read_split(split_folder.parent, split_folder.name)
    assert [expression.id for expression in split.videos[0].expressions] == ["10", "2", "b"]


def test_the_meta_file_lists_frames_in_the_order_of_time(split_folder):
    frames = ("9", "10", "11")  # as text 9 comes last
    for old, new in zip(FRAMES, frames, strict=True):
        (split_folder / f"JPEGImages/dogs/{old}.jpg").rename(
            split_folder / f"JPEGImages/dogs/{new}.jpg"
        )
    change_meta(split_folder, lambda videos: videos["dogs"].update(frames=list(frames)))
    video = read_split(split_folder.parent, split_folder.name).videos[0]
    assert video.frame_names == frames


def test_a_split_without_ground_truth_tells_it_from_no_target(split, split_folder):
    assert split.videos[0].expressions[0].object_ids == ()
    value = {"videos": {"cups": {"frames": ["00000"], "expressions": {"0": {"exp": "a cup"}}}}}
    write_meta(split_folder, value)
    (split_folder / "mask_dict.json").unlink()
    blind = read_split(split_folder.parent, split_folder.name)
    assert blind.videos[0].expressions[0].annotation_ids is None
    assert blind.mask_file is None


@pytest.mark.parametrize("name", META_FILES)
def test_every_name_of_the_meta_file_is_found(split_folder, name):
    (split_folder / "meta_expressions.json").rename(split_folder / name)
    assert read_split(split_folder.parent, split_folder.name).meta_file.name == name


def test_two_meta_files_need_a_decision(split_folder):
    write_meta(split_folder, meta(), "meta_expressions_v2.json")
    with pytest.raises(FaultyInput, match=r"several meta files.*\n.*--meta"):
        read_split(split_folder.parent, split_folder.name)
    chosen = read_split(split_folder.parent, split_folder.name, meta="meta_expressions_v2.json")
    assert chosen.meta_file.name == "meta_expressions_v2.json"


@pytest.mark.parametrize(
    "prefix", ["JPEGImages/", "./JPEGImages/", "valid_u/JPEGImages/", "", "./"]
)
def test_a_tar_of_frames_reads_like_the_folder(split_folder, prefix):
    folder = split_folder / "JPEGImages"
    with tarfile.open(split_folder / "JPEGImages.tar", "w") as tar:
        for path in sorted(folder.rglob("*.jpg")):
            tar.add(path, prefix + str(path.relative_to(folder)))
    shutil.rmtree(folder)
    assert read_split(split_folder.parent, split_folder.name).num_masks == 11
    with tarfile.open(split_folder / "JPEGImages.tar", "w") as tar:
        tar.add(split_folder / "meta_expressions.json", prefix + "dogs/00000.jpg")
    faults = faults_of(split_folder)
    assert "JPEGImages.tar: dogs/00001.jpg: the frame is missing" in faults
    assert "JPEGImages.tar: dogs/00000.jpg: the frame is unreadable: not an image" in faults
    assert "JPEGImages.tar: cups: none of the 2 frames is there" in faults


def test_a_tar_that_is_compressed_or_cut_off_is_refused(split_folder):
    folder, tar = split_folder / "JPEGImages", split_folder / "JPEGImages.tar"
    with tarfile.open(tar, "w:gz") as file:
        file.add(folder, "JPEGImages")
    whole = tar.with_suffix(".whole")
    with tarfile.open(whole, "w") as file:
        file.add(folder, "JPEGImages")
    shutil.rmtree(folder)
    assert "not a complete, uncompressed tar" in faults_of(split_folder)[0]
    tar.write_bytes(whole.read_bytes()[:2500])
    assert "not a complete, uncompressed tar" in faults_of(split_folder)[0]


def test_missing_folders_say_what_there_is(split_folder, tmp_path):
    with pytest.raises(FaultyInput, match="no such folder"):
        read_split(tmp_path / "nowhere", "valid")
    with pytest.raises(FaultyInput, match=r"no such split\nSplits in .*: valid_u\."):
        read_split(split_folder.parent, "valid")
    with pytest.raises(FaultyInput, match="no such meta file"):
        read_split(split_folder.parent, split_folder.name, meta="other.json")
    (split_folder / "meta_expressions.json").unlink()
    with pytest.raises(FaultyInput, match="no meta file"):
        read_split(split_folder.parent, split_folder.name)


@pytest.mark.parametrize("below", ["", "JPEGImages"])
def test_a_folder_inside_the_data_says_what_to_pass(split_folder, below):
    meant = f"valid_u is a split itself: --data {split_folder.parent} --split valid_u"
    with pytest.raises(FaultyInput, match=meant):
        read_split(split_folder / below, "valid")


def test_a_folder_without_splits_is_said_to_be_the_wrong_one(tmp_path):
    (tmp_path / "mevis" / "valid").mkdir(parents=True)
    with pytest.raises(FaultyInput, match=r"No folder in .* has a meta file .*: pass .*--data\."):
        read_split(tmp_path, "valid")


def test_a_split_without_frames_on_disk_is_refused(split_folder):
    shutil.rmtree(split_folder / "JPEGImages")
    assert "neither JPEGImages/ nor JPEGImages.tar is there" in faults_of(split_folder)[0]


def test_broken_json_is_told_with_line_and_column(split_folder):
    (split_folder / "meta_expressions.json").write_text('{"videos":\n {"dogs": }}')
    assert faults_of(split_folder) == [
        "meta_expressions.json: broken JSON at line 2, column 11: a value belongs here; mend it "
        "there, or copy it again"
    ]


def test_text_that_is_not_utf8_is_told_with_its_line(split_folder):
    (split_folder / "meta_expressions.json").write_bytes(b'{"videos":\n {"d\xffgs": {}}}')
    assert "not UTF-8 text at line 2" in faults_of(split_folder)[0]


def test_repeated_keys_are_found_although_json_would_hide_them(split_folder):
    videos = meta()["videos"]
    video = json.dumps(videos["cups"]["frames"])
    twice = f'{{"frames": {video}, "expressions": {{"0": {{"exp": "a"}}, "0": {{"exp": "b"}}}}}}'
    (split_folder / "meta_expressions.json").write_text(
        f'{{"videos": {{"cups": {twice}, "cups": {twice}}}}}'
    )
    assert faults_of(split_folder) == [
        "meta_expressions.json, video cups: this video name is there more than once",
        "meta_expressions.json, video cups, expression 0: "
        "this expression id is there more than once",
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda videos: videos.clear(), "the split has no videos"),
        (lambda videos: videos.update(dogs=[]), "video dogs: it must be an object"),
        (lambda videos: videos["dogs"].update(frames=[]), "video dogs: the video has no frames"),
        (lambda videos: videos["dogs"].pop("frames"), '"frames" must be a list'),
        (lambda videos: videos["dogs"].update(frames=[0, 1]), "2 of 2 frame names must be text"),
        (lambda videos: videos["dogs"]["frames"].append("00000"), "listed more than once"),
        (lambda videos: videos["dogs"].update(expressions={}), "the video has no expressions"),
        (lambda videos: videos["dogs"].update(expressions=[]), '"expressions" must be an object'),
        (lambda videos: videos["dogs"]["expressions"].update({"3": "x"}), "expression 3: it must"),
        (
            lambda videos: videos["dogs"]["expressions"]["2"].update(exp=" \t"),
            'video dogs, expression 2: the sentence "exp" is empty',
        ),
        (
            lambda videos: videos["dogs"]["expressions"]["2"].pop("exp"),
            'video dogs, expression 2: the sentence "exp" must be text, not missing',
        ),
        (
            lambda videos: videos["dogs"]["expressions"]["2"].update(exp="\ud800"),
            "not valid Unicode",
        ),
        (
            lambda videos: videos["dogs"]["expressions"]["2"].update(anno_id=["7"]),
            '"anno_id" must be a list of whole numbers',
        ),
    ],
)
def test_each_fault_of_the_meta_file_is_told_with_its_place(split_folder, change, expected):
    change_meta(split_folder, change)
    faults = faults_of(split_folder)
    assert len(faults) == 1
    assert expected in faults[0]


BAD_NAMES = [
    "",
    ".",
    "..",
    "../x",
    "/etc",
    "a/b",
    "a\\b",
    "a\0b",
    " a",
    "a ",
    "a\n",
    "c:x",
    "x" * 300,
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_would_leave_the_output_folder_are_refused(split_folder, name):
    def rename(videos):
        videos[name] = videos.pop("cups")
        videos["dogs"]["expressions"][name] = {"exp": "a dog"}
        videos["dogs"]["frames"].append(name)

    change_meta(split_folder, rename)
    faults = faults_of(split_folder)
    assert len(faults) == 3
    assert all("name" in fault for fault in faults)


@pytest.mark.parametrize("name", ["a", "a.b", "a b", "video_1-é", "..a"])
def test_ordinary_names_are_accepted(split_folder, name):
    (split_folder / "JPEGImages" / "cups").rename(split_folder / "JPEGImages" / name)
    change_meta(split_folder, lambda videos: videos.update({name: videos.pop("cups")}))
    assert read_split(split_folder.parent, split_folder.name).videos[-1].name == name


def test_faults_of_meta_file_and_frames_are_told_together(split_folder):
    frames = split_folder / "JPEGImages" / "dogs"
    (frames / "00000.jpg").unlink()
    (frames / "00001.jpg").write_bytes((frames / "00001.jpg").read_bytes()[:-40])
    (frames / "00002.jpg").write_bytes(b"")
    Image.new("RGB", (WIDTH + 1, HEIGHT)).save(split_folder / "JPEGImages/cups/00001.jpg")
    change_meta(split_folder, lambda videos: videos["dogs"]["expressions"]["2"].update(exp=""))
    faults = faults_of(split_folder)
    assert faults[0].endswith('expression 2: the sentence "exp" is empty')
    assert faults[1] == "JPEGImages/dogs/00000.jpg: the frame is missing"
    assert faults[2].startswith(
        "JPEGImages/dogs/00001.jpg: the frame is unreadable: damaged or cut"
    )
    assert faults[3] == "JPEGImages/dogs/00002.jpg: the frame is unreadable: the file is empty"
    assert "JPEGImages/cups/00001: the frame has 41 x 24 pixels" in faults[4]


def test_padding_behind_a_whole_frame_is_no_fault(split_folder):
    path = split_folder / "JPEGImages" / "dogs" / "00001.jpg"
    path.write_bytes(path.read_bytes() + bytes(16))
    assert read_split(split_folder.parent, split_folder.name).num_masks == 11


def test_a_header_longer_than_the_first_look_is_read(split_folder):
    path = split_folder / "JPEGImages" / "dogs" / "00001.jpg"
    plain = path.read_bytes()
    comment = b"\xff\xfe\x9c\x42" + bytes(0x9C40)  # 40,000 bytes
    path.write_bytes(plain[:2] + comment + plain[2:])
    assert read_split(split_folder.parent, split_folder.name).num_masks == 11
