"""What pyproject.toml cannot say: the documents go into the package, and what depends on the public
address. All else stands in pyproject.toml.
"""

import runpy
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
documents = runpy.run_path(str(ROOT / "src" / "hyperfitting" / "documents.py"))


class BuildWithDocuments(build_py):
    """Copies docs/ into the package, except into that of an editable installation."""

    def run(self):
        """Build, then copy."""
        super().run()
        if not self.editable_mode:
            self._copy_documents(Path(self.build_lib) / "hyperfitting")

    def _copy_documents(self, package):
        files = [
            path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".png", ".csv")
        ]
        there = {path.relative_to(ROOT).as_posix() for path in files}
        for path in files:
            copy = package / path.relative_to(ROOT)
            self.mkpath(str(copy.parent))
            if path.suffix == ".md":
                text, page = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
                living = documents["with_living_links"](text, page, there)
                copy.write_text(living, encoding="utf-8")
            else:
                self.copy_file(str(path), str(copy))


def project_urls():
    """Names and addresses of the project's pages, where there are any."""
    address, link = documents["PUBLIC_ADDRESS"], documents["public_link"]
    if not address:
        return {}
    return {
        "Source": address,
        "Documentation": link("docs/index.md"),
        "Changelog": link("CHANGELOG.md"),
        "Issues": f"{address}/issues",
    }


setup(
    cmdclass={"build_py": BuildWithDocuments},
    project_urls=project_urls(),
    long_description=documents["with_living_links"](
        (ROOT / "README.md").read_text(encoding="utf-8"), "README.md", ()
    ),
    long_description_content_type="text/markdown",
)
