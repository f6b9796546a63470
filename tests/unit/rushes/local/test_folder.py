import json
import stat
from pathlib import Path

import pytest

from rushes.local.folder import BadFolder, Folder, FolderInUse, new_secret, write_private


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_and_its_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    with Folder(tmp_path / "a" / "data") as folder:
        folder.load_or_create({"password": new_secret()})
        assert _mode(folder.path) == 0o700
        assert _mode(folder.path / "local.json") == 0o600
        assert _mode(folder.path / "lock") == 0o600


def test_secrets_are_made_once_and_then_kept(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        first = folder.load_or_create({"password": new_secret(), "port": 20_001})
    with Folder(tmp_path) as folder:
        assert folder.load_or_create({"password": new_secret(), "port": 20_002}) == first


def test_a_value_that_a_newer_version_wants_is_added_and_kept(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        folder.load_or_create({"old": 1})
        assert folder.load_or_create({"new": 2}) == {"old": 1, "new": 2}
        assert folder.load_or_create({"new": 3}) == {"old": 1, "new": 2}


def test_values_can_be_replaced(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        folder.save({"port": 1})
        assert folder.load_or_create({"port": 2}) == {"port": 1}


@pytest.mark.parametrize("text", ["", "{", "[1]", "null"])
def test_a_damaged_file_is_reported_and_left_alone(tmp_path: Path, text: str) -> None:
    (tmp_path / "local.json").write_text(text)
    with Folder(tmp_path) as folder, pytest.raises(BadFolder, match=r"local\.json"):
        folder.load_or_create({"password": "new"})
    assert (tmp_path / "local.json").read_text() == text


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with Folder(tmp_path), pytest.raises(FolderInUse):
        Folder(tmp_path)
    Folder(tmp_path).close()


def test_letting_go_twice_is_letting_go_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.close()
    with Folder(tmp_path):
        folder.close()
        with pytest.raises(FolderInUse):
            Folder(tmp_path)


def test_writing_replaces_a_file_that_others_could_read_and_leaves_no_draft(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("a longer text from before")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert _mode(path) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_text(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        folder.save({"a": 1})
        with pytest.raises(UnicodeEncodeError):
            write_private(tmp_path / "local.json", "\udc80")
        assert json.loads((tmp_path / "local.json").read_text()) == {"a": 1}
        assert {path.name for path in tmp_path.iterdir()} == {"local.json", "lock"}
