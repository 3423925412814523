"""Nothing under conf/ goes unchecked: each file belongs to a test that reads it, and a new one has to get one."""

import fnmatch
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
# Which tests read which files. The test must name the file, or the folder that it reads whole.
CHECKS = {
    "conf/azure/aks/*.yaml": "tests/deploy/test_azure_containers.py",
    "conf/azure/container-group.yaml": "tests/deploy/test_azure_containers.py",
    "conf/azure/ml/*.yaml": "tests/deploy/test_azure_ml.py",
    "conf/azure/ml/batch.Dockerfile": "tests/deploy/test_azure_ml.py",
    "conf/azure/vm/cloud-init.yaml": "tests/deploy/test_azure_vm.py",
    "conf/azure/vm/template.json": "tests/deploy/test_azure_vm.py",
    "conf/databricks/*": "tests/deploy/test_*databricks*.py",
    "conf/demo.yaml": "tests/deploy/test_settings_files.py",
    "conf/demo/*": "tests/scoring/conftest.py",
    "conf/docker/*": "tests/deploy/test_*docker*.py",
    "conf/maintain.yaml": "tests/deploy/test_settings_files.py",
    "conf/mutation/*": "tests/deploy/test_mutation_files.py",
    "conf/nightly/*": "tests/deploy/test_*nightly*.py",
    "conf/score.yaml": "tests/deploy/test_settings_files.py",
    "conf/serve.yaml": "tests/deploy/test_settings_files.py",
    "conf/setup/*.py": "tests/deploy/test_programs.py",
    "conf/spark/*.conf": "tests/deploy/test_spark_files.py",
    "conf/spark/*.sh": "tests/deploy/test_spark_conf.py",
    "conf/spark/delta-jars.lock": "tests/deploy/test_spark_files.py",
    "conf/spark/log4j2.properties": "tests/deploy/test_spark_files.py",
    "conf/train.yaml": "tests/deploy/test_settings_files.py",
    "conf/train/*.yaml": "tests/deploy/test_settings_files.py",
}


def find_uncovered(files, checks):
    """List the files that no check covers, and those whose check isn't there or names them nowhere."""
    problems = []
    for file in files:
        patterns = [pattern for pattern in checks if fnmatch.fnmatchcase(file, pattern)]
        tests = [test for pattern in patterns for test in sorted(PROJECT.glob(checks[pattern]))]
        name, *folders = file.split("/")[:0:-1]
        named = (name, *[f'"{folder}"' for folder in folders], *["/".join(file.split("/")[:2])])
        if not patterns:
            problems.append(f"{file}: no check of tests/deploy covers it")
        elif not any(word in test.read_text(encoding="utf-8") for test in tests for word in named):
            problems.append(f"{file}: {checks[patterns[0]]} doesn't read it")
    return problems


def list_conf(root):
    """List the files below conf/, but what Python leaves there."""
    files = (path.relative_to(root).as_posix() for path in (root / "conf").rglob("*") if path.is_file())
    return sorted(file for file in files if "__pycache__" not in file)


def test_every_file_is_covered():
    """Each file under conf/ has a test that reads it."""
    assert find_uncovered(list_conf(PROJECT), CHECKS) == []


@pytest.mark.parametrize("name", ["conf/planted.yaml", "conf/azure/aks/planted.json", "conf/new/planted.sh"])
def test_a_planted_file_is_an_error(tmp_path, name):
    """A file that nobody checks is told by name."""
    planted = tmp_path / name
    planted.parent.mkdir(parents=True)
    planted.write_text("a: 1\n", encoding="utf-8")
    assert find_uncovered(list_conf(tmp_path), CHECKS) == [f"{name}: no check of tests/deploy covers it"]


def test_a_check_that_is_not_there_is_an_error():
    """A file whose test doesn't exist, or doesn't read it, is told, too."""
    assert find_uncovered(["conf/a.yaml"], {"conf/a.yaml": "tests/deploy/test_none.py"}) == [
        "conf/a.yaml: tests/deploy/test_none.py doesn't read it"
    ]
    assert len(find_uncovered(["conf/b.yaml"], {"conf/b.yaml": "tests/test_boxes.py"})) == 1
