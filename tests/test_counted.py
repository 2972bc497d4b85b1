from submission.counted import counted


def test_one_is_singular_and_large_numbers_have_commas():
    assert [counted(n, "PNG file") for n in (0, 1, 2, 62647)] == [
        "0 PNG files", "1 PNG file", "2 PNG files", "62,647 PNG files"
    ]  # fmt: skip
