"""docs/configuration.md says what tf_hps.config knows, and its examples run."""

import dataclasses
import pathlib
import re
import textwrap

import pytest

from tf_hps import config

DOC = (pathlib.Path(__file__).parents[2] / "docs" / "configuration.md").read_text()


def _rows(heading: str) -> dict[str, list[str]]:
    """The table under a heading: the other cells by the name in the first."""
    section = re.search(rf"^### {heading}\n(.*?)(?=^##|\Z)", DOC, re.MULTILINE | re.DOTALL)
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", section[1], re.MULTILINE)
    return {name: [cell.strip() for cell in cells.split("|")] for name, cells in rows}


@pytest.mark.parametrize(
    ("heading", "kind", "more"),
    [
        ("Top level", config.Config, ["format_version"]),
        ("memory", config.MemoryConfig, []),
        ("redis", config.RedisConfig, []),
        ("rocksdb", config.RocksdbConfig, []),
        ("gpu_cache", config.GpuCacheConfig, []),
        ("updates", config.UpdatesConfig, []),
        ("A table", config.TableConfig, []),
    ],
)
def test_the_tables_list_the_fields_in_order(heading, kind, more):
    # `folder` and the file a Config came from are not written into hps.json.
    fields = [
        item.name for item in dataclasses.fields(kind) if item.name not in ("folder", "_file")
    ]
    assert list(_rows(heading)) == more + fields


@pytest.mark.parametrize(
    ("heading", "kind", "field"),
    [
        ("memory", config.MemoryConfig, "eviction"),
        ("gpu_cache", config.GpuCacheConfig, "policy"),
        ("A table", config.TableConfig, "row_format"),
        ("A table", config.TableConfig, "out_of_range"),
        ("A table", config.TableConfig, "when_full"),
    ],
)
def test_the_choices_are_the_ones_that_are_taken(heading, kind, field):
    choices = re.findall(r"`(\w+)`", _rows(heading)[field][0])
    with pytest.raises(ValueError, match=f"is one of {', '.join(choices)}\\."):
        kind(**{field: "none of them"})


def test_the_python_example_says_what_the_json_example_says(tmp_path, monkeypatch):
    (tmp_path / "documented.json").write_text(textwrap.dedent(_json_examples()[0]))
    monkeypatch.chdir(tmp_path)
    # The package gives these names lazily; the example is about the configuration alone.
    names = type("tf_hps", (), {name: getattr(config, name) for name in dir(config)})
    example = re.search(r"```python\nimport tf_hps\n(.*?)```", DOC, re.DOTALL)[1]
    exec(example, {"tf_hps": names})
    assert config.Config.load("hps.json") == config.Config.load("documented.json")


def test_the_operators_example_is_a_part_of_a_config(tmp_path):
    overlay = _json_examples()[1].strip()
    file = tmp_path / "overlay.json"
    file.write_text('{"format_version": 1, ' + overlay[1:])
    assert config.Config.load(file).tables["user_id"].memory is False


def _json_examples() -> list[str]:
    return re.findall(r"^ {4,}\{.*?\}\n(?=\n)", DOC, re.MULTILINE | re.DOTALL)
