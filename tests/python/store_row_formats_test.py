"""Rows as bytes: expected values are written out by hand, as for the C++ codec."""

import numpy as np
import pytest

from tf_hps.store import row_formats


def encode(row, row_format):
    return row_formats.encode_rows(np.array([row], np.float32), row_format)[0].tobytes().hex(" ")


def test_float32_rows_are_their_own_bytes():
    assert encode([1.0, -2.5], "float32") == "00 00 80 3f 00 00 20 c0"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, "00 3c"),
        (-2.0, "00 c0"),
        (1.00048828125, "00 3c"),  # halfway to the next half: to even, down
        (1.00146484375, "02 3c"),  # halfway: to even, up
        (65519.0, "ff 7b"),  # the largest half
        (65520.0, "00 7c"),  # infinity
        (5.960464477539063e-08, "01 00"),  # the smallest subnormal
        (-0.0, "00 80"),
        (float("inf"), "00 7c"),
    ],
)
def test_float16_rounds_to_nearest_even(value, expected):
    assert encode([value], "float16") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.0, "80 3f"),
        (1.00390625, "80 3f"),  # halfway: to even, down
        (1.01171875, "82 3f"),  # halfway: to even, up
        (3.3895e38, "7f 7f"),
        (3.4e38, "80 7f"),  # above the largest bfloat16: infinity
        (-0.0, "00 80"),
    ],
)
def test_bfloat16_rounds_to_nearest_even(value, expected):
    assert encode([value], "bfloat16") == expected


@pytest.mark.parametrize("row_format", ["float16", "bfloat16"])
def test_nan_stays_nan_in_half_types(row_format):
    stored = row_formats.encode_rows(np.array([[np.nan, 1]], np.float32), row_format)
    decoded = row_formats.decode_rows(stored, row_format)
    assert np.isnan(decoded[0, 0]) and decoded[0, 1] == 1


def test_int8_rows_have_a_scale_that_maps_the_largest_element_to_127():
    # scale = 127 / 127 = 1; 0.5, 1.5 and -2.5 are rounded half to even.
    assert encode([127.0, 0.5, 1.5, -2.5], "int8") == "00 00 80 3f 7f 00 02 fe"


def test_int8_scale_of_a_negative_maximum():
    # scale = 127 / 2 = 63.5
    assert encode([-2.0, 1.0, 0.0], "int8") == "00 00 7e 42 81 40 00"


def test_int8_row_of_zeros_has_scale_1():
    assert encode([0.0, 0.0], "int8") == "00 00 80 3f 00 00"


def test_int8_decodes_by_dividing():
    stored = row_formats.pack_quantized(np.array([[127, -64, 0]], np.int8), np.array([63.5], "f4"))
    assert row_formats.decode_rows(stored, "int8").tolist() == [[2.0, -64 / np.float32(63.5), 0.0]]


def test_int8_is_within_half_a_step_of_every_element():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = (rng.standard_normal((50, 17)) * 10.0 ** rng.integers(-20, 20)).astype(np.float32)
        decoded = row_formats.decode_rows(row_formats.encode_rows(rows, "int8"), "int8")
        step = np.abs(rows).max(axis=1, keepdims=True) / 127
        assert (np.abs(decoded - rows) <= 0.5001 * step).all(), f"seed {seed}"


def test_half_rows_are_kept_by_their_own_format_and_pass_through_float32_to_another():
    rows = np.array([[1.5, -3.25]], np.float16)
    assert row_formats.encode_rows(rows, "float16").tobytes() == rows.tobytes()
    assert encode([1.5, -3.25], "bfloat16") == (
        row_formats.encode_rows(rows, "bfloat16")[0].tobytes().hex(" ")
    )


@pytest.mark.parametrize(
    ("row_format", "expected"), [("float32", 12), ("float16", 6), ("bfloat16", 6), ("int8", 7)]
)
def test_row_bytes(row_format, expected):
    assert row_formats.row_bytes(row_format, 3) == expected
    assert row_formats.encode_rows(np.zeros((0, 3), np.float32), row_format).shape == (0, expected)


def test_unknown_formats_and_types_are_named():
    with pytest.raises(ValueError, match=r"one of \('float32', .*Received: 'float64'"):
        row_formats.row_bytes("float64", 3)
    with pytest.raises(ValueError, match="Received: float64"):
        row_formats.encode_rows(np.zeros((1, 1)), "float32")
    with pytest.raises(ValueError, match="Received: 0"):
        row_formats.row_bytes("float32", 0)
