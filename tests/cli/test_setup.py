from __future__ import annotations

import json
import re
import stat
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def files(machine: Any) -> dict[str, bytes]:
    paths = [*(machine.home / "config").iterdir(), machine.work / "collector.toml"]
    return {path.name: path.read_bytes() for path in paths}


def test_init_makes_keys_trust_and_configuration_and_prints_the_fingerprint(machine: Any) -> None:
    done = machine("init")
    assert done.returncode == 0, done.stderr
    assert set(files(machine)) == {"key.pem", "key.pub.pem", "secret.key", "trust.toml", "collector.toml"}
    assert re.search(r"Signing key: SHA256:[A-Za-z0-9+/]{43}\n", done.stdout)
    assert "Next: collector run" in done.stdout


def test_private_files_are_the_users_alone(machine: Any) -> None:
    machine("init")
    folder = machine.home / "config"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("key.pem", "secret.key"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600


def test_second_init_changes_nothing_and_says_so(machine: Any) -> None:
    first = json.loads(machine("init", "--output", "json").stdout)
    before = files(machine)
    second = json.loads(machine("init", "--output", "json").stdout)
    assert files(machine) == before
    assert second["fingerprint"] == first["fingerprint"]
    assert all(each["made"] for each in first["files"])
    assert not any(each["made"] for each in second["files"])


def test_init_makes_what_is_missing_and_keeps_the_rest(machine: Any) -> None:
    machine("init")
    before = files(machine)
    (machine.home / "config/secret.key").unlink()
    (machine.home / "config/trust.toml").unlink()
    assert machine("init").returncode == 0
    after = files(machine)
    assert after["trust.toml"] == before["trust.toml"]
    assert after["key.pem"] == before["key.pem"]
    assert after["secret.key"] != before["secret.key"]


def test_init_completes_a_pair_whose_making_was_cut_off(machine: Any) -> None:
    machine("init")
    before = files(machine)
    (machine.home / "config/key.pub.pem").unlink()
    (machine.home / "config/trust.toml").unlink()
    assert machine("init").returncode == 0
    assert files(machine) == before


def test_init_says_how_to_make_the_public_half_of_a_key_that_it_cannot_read(machine: Any) -> None:
    machine("init")
    key, public = machine.home / "config/key.pem", machine.home / "config/key.pub.pem"
    public.unlink()
    closed = ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:word"]
    key.write_bytes(subprocess.run(closed, check=True, capture_output=True).stdout)
    done = machine("init")
    assert done.returncode == 2
    assert f"{public}: missing; `openssl pkey -in {key} -pubout -out {public}` makes it" in done.stderr


def test_trust_file_holds_the_key_that_was_made(machine: Any) -> None:
    from collector.bundle.trust import load_trust

    value = json.loads(machine("init", "--output", "json").stdout)
    trust = load_trust(machine.home / "config/trust.toml")
    assert [each.key.fingerprint for each in trust.keys] == [value["fingerprint"]]


def test_configuration_is_not_written_where_one_is_found(machine: Any) -> None:
    (machine.home / "config").mkdir()
    (machine.home / "config/collector.toml").write_text('[[source]]\nuse = "host"\n')
    machine("init")
    assert not (machine.work / "collector.toml").exists()


def test_init_that_cannot_write_leaves_no_half_of_a_file(machine: Any) -> None:
    script = ["sh", "-c", 'ulimit -f 0; exec "$@"', "sh", *machine.command("init")]
    done = subprocess.run(script, cwd=machine.work, env=machine.environ, capture_output=True, text=True)
    key = machine.home / "config/key.pem"
    assert (done.returncode, done.stderr) == (2, f"collector: {key}: File too large\n")
    assert list((machine.home / "config").iterdir()) == []
    assert machine("init").stdout.count("made") == 5


def test_init_whose_folder_cannot_be_made_names_what_chooses_another(machine: Any) -> None:
    (machine.home / "file").write_text("no folder")
    done = machine("init", COLLECTOR_CONFIG_DIR=str(machine.home / "file/config"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"collector: {machine.home}/file/config: cannot be made: Not a directory; ")
    assert "COLLECTOR_CONFIG_DIR" in done.stderr
    assert done.stderr.count("\n") == 1


def test_init_that_cannot_write_the_configuration_still_shows_the_key_that_it_made(machine: Any) -> None:
    machine.work = Path("/proc")  # where nobody can make a file, root neither
    done = machine("init")
    assert re.search(r"Signing key: SHA256:[A-Za-z0-9+/]{43}\n", done.stdout)
    assert done.stdout.count("made") == 4
    assert "Next" not in done.stdout
    assert done.returncode == 2
    assert re.fullmatch(r"collector: collector\.toml: .+\n", done.stderr)


def test_quiet_init_prints_nothing(machine: Any) -> None:
    done = machine("init", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_configuration_that_init_writes_is_the_repositorys_without_its_example() -> None:
    whole = (ROOT / "collector.toml").read_text()
    shipped = (ROOT / "collector/cli/default.toml").read_text()
    example = re.search(r'\[\[source\]\]\nuse = "program".*\nfolder = .*\n', whole)
    assert example is not None
    commented = re.sub(r"(?m)^", "#", example[0].rstrip("\n")) + "\n"
    expected = whole.replace(example[0], commented.replace("examples/program", "program"))
    expected = expected.replace(" and the example organisation beside it.", ".")
    assert shipped == expected
