"""Which Java is chosen, with scripts in the place of Java, and what is tried when none will do."""

import sys
from pathlib import Path

import pytest

from detector.errors import InstallationError
from detector.installation import java as java_module
from detector.installation.java import find_java, install_java, parse_major, read_major


def make_java(home, version, returncode=0):
    """Write a script that answers as a Java of that version does; give its path."""
    path = Path(home) / "bin" / "java"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\nexit {returncode}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Give a machine without Java: empty PATH, environment, project and system folders, and no apt."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "path" / "bin"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setattr(java_module, "PROJECT_JAVA", tmp_path / "project")
    monkeypatch.setattr(java_module, "_SYSTEM_JAVA", (tmp_path / "system",))
    (tmp_path / "environment" / "bin").mkdir(parents=True)
    return tmp_path


def offer_archive(monkeypatch, version):
    """Let the installer package unpack a Java of that version, or fail where it is None."""
    import jdk

    def install(wanted, *, jre, path):
        if version is None:
            raise jdk.JdkError("no network")
        return str(make_java(Path(path) / f"jdk-{wanted}", version).parents[1])

    monkeypatch.setattr(jdk, "install", install)


@pytest.mark.parametrize(
    ("version", "major"),
    [("17.0.15", 17), ("1.8.0_402", 8), ("21", 21), ("11.0.2", 11), ("22-ea", 22)],
)
def test_major_version(version, major):
    """Old and new ways of counting, full and early releases."""
    assert parse_major(f'openjdk version "{version}" 2025-04-15\nOpenJDK Runtime Environment') == major


def test_no_version_is_none():
    """What isn't Java has no version."""
    assert parse_major("The operation couldn't be completed. Unable to locate a Java Runtime.") is None


def test_java_that_does_not_run_has_no_version(tmp_path):
    """A placeholder that exits with an error is no Java, whatever it prints."""
    assert read_major(make_java(tmp_path, "17.0.1", returncode=1)) is None
    assert read_major(tmp_path / "missing") is None


@pytest.mark.parametrize(
    ("version", "usable"), [("16.0.2", False), ("17.0.15", True), ("21", True), ("25", False)]
)
def test_which_versions_will_do(machine, version, usable):
    """From 17 to 21."""
    path = make_java(machine / "path", version)
    if usable:
        assert find_java() == path
    else:
        with pytest.raises(InstallationError, match=rf"{path} \(Java {version[:2]}\).*make setup"):
            find_java()


@pytest.mark.parametrize("place", ["path", "environment", "project/jdk-17", "system/java-17"])
def test_old_java_home_is_passed_over(machine, monkeypatch, place):
    """A JAVA_HOME that is too old hides no good Java elsewhere."""
    make_java(machine / "old", "11.0.2")
    monkeypatch.setenv("JAVA_HOME", str(machine / "old"))
    java = make_java(machine / place, "17.0.15")
    assert find_java() == java


def test_java_home_comes_first(machine, monkeypatch):
    """Two good ones: the one that the user named."""
    make_java(machine / "path", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(machine / "home"))
    java = make_java(machine / "home", "21.0.1")
    assert find_java() == java


def test_good_java_on_path_is_left_alone(machine):
    """Nothing is installed and nothing linked."""
    path = make_java(machine / "path", "17.0.15")
    assert install_java() == path
    assert not (machine / "environment" / "bin" / "java").exists()


def test_old_java_on_path_is_overruled_in_the_environment(machine):
    """A good Java that PATH doesn't give is what the environment's own bin gives."""
    make_java(machine / "path", "11.0.2")
    java = make_java(machine / "system" / "java-17", "17.0.15")
    assert install_java() == java
    assert (machine / "environment" / "bin" / "java").resolve() == java


def test_archive_where_there_is_no_package(machine, monkeypatch):
    """Without apt a Java is unpacked into the project, whole, and linked."""
    offer_archive(monkeypatch, "17.0.15")
    java = install_java()
    assert java == machine / "project" / "jdk-17" / "bin" / "java"
    assert [path.name for path in (machine / "project").iterdir()] == ["jdk-17"]
    assert (machine / "environment" / "bin" / "java").resolve() == java


def test_package_where_apt_is(machine, monkeypatch):
    """The first package that apt has is installed, after fresh lists."""
    commands = []

    def succeed(command):
        commands.append(command)
        if command[-1] == "openjdk-21-jre-headless":
            make_java(machine / "system" / "java-21", "21.0.1")
            return True
        return False

    monkeypatch.setattr(
        java_module.shutil, "which", lambda name: f"/usr/bin/{name}" if name == "apt-get" else None
    )
    monkeypatch.setattr(java_module.os, "geteuid", lambda: 0)
    monkeypatch.setattr(java_module, "_succeeds", succeed)
    assert install_java() == machine / "system" / "java-21" / "bin" / "java"
    assert [command[-1] for command in commands] == [
        "update",
        "openjdk-17-jre-headless",
        "openjdk-21-jre-headless",
    ]


def test_failure_says_what_to_do(machine, monkeypatch):
    """No package, no archive: one line with what was found and both ways out."""
    make_java(machine / "path", "1.8.0_402")
    offer_archive(monkeypatch, None)
    with pytest.raises(InstallationError, match=r"Java 8.*apt-get install.*JAVA_HOME.*no network") as raised:
        install_java()
    assert "\n" not in str(raised.value)
