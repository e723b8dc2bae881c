"""A wheel carries the workflow's files in cellscaper/house, where `cellscaper.plan.house` finds them."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
HOUSE = ("Snakefile", "config.yaml", "workflow", "envs")


class WithTheHouse(build_py):
    """Copies the package, then the workflow's files into it; an editable installation reads them where they stand."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            inside = Path(self.build_lib) / "cellscaper" / "house"
            shutil.rmtree(inside, ignore_errors=True)
            inside.mkdir(parents=True)
            for name in HOUSE:
                copy = shutil.copytree if (HERE / name).is_dir() else shutil.copy2
                copy(HERE / name, inside / name)


setup(cmdclass={"build_py": WithTheHouse})
