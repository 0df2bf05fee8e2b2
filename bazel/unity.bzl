"""Sources as one unit a folder: headers are read once, which takes a fifth of the time.

CMake's sanitizer builds do the same; tools/check_locks.py sees to it that names do not clash.
"""

def unity(name, srcs):
    """Files that include `srcs`, one a folder; the rule that has them needs `srcs` as textual_hdrs.

    Args:
      name: begins the names of the rules that write them.
      srcs: paths in this package.

    Returns:
      Labels.
    """
    folders = {}
    for src in srcs:
        folders.setdefault(src.rpartition("/")[0], []).append(src)
    labels = []
    for folder, files in folders.items():
        unit = name + "_" + folder.replace("/", "_")
        native.genrule(
            name = unit,
            outs = [unit + ".cc"],
            cmd = "printf '#include \"%s\"\\n' " + " ".join(files) + " > $@",
        )
        labels.append(":" + unit)
    return labels
