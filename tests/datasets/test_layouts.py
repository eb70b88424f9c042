from __future__ import annotations

import subprocess
import sys

from surgaug.datasets import layouts


def test_layouts_are_listed_without_importing_them() -> None:
    code = (
        "import sys; from surgaug.datasets import layouts; print(layouts.names()); "
        "assert not any(m.startswith('surgaug.datasets.layouts.') for m in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    read_only = {"beside", "cases", "cholecseg8k", "cityscapes", "endovis2017", "endovis2018", "robustmis", "splits"}
    read_only |= {"class_files", "cvat_xml", "label_studio", "labelme", "supervisely", "two_folders"}
    written = {"cadis", "coco", "cvat", "folders", "hf", "mmseg", "nnunet", "yolo"}
    assert done.stdout.strip() == str(sorted(read_only | written)) and set(layouts.written()) == written


def test_each_has_matches_and_read() -> None:
    for name in layouts.names():
        assert callable(layouts.get(name).matches) and callable(layouts.get(name).read)
