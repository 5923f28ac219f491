"""``make recorded``: the replay of recorded exchanges, wherever they are kept."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "tools" / "recorded.py"
REPLAY = """
import json, sys, urllib.request
*options, url, key, scenario = sys.argv[1:]
request = urllib.request.Request(url + "/v1/customers", headers={"Authorization": f"Bearer {key}"})
with urllib.request.urlopen(request, timeout=10) as response:
    print(len(json.load(response)["data"]), "customers,", scenario, *options)
sys.exit(1)
"""


def run(*arguments):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_recordings_are_replayed_against_an_empty_simulator_and_their_exit_status_is_kept(tmp_path):
    (tmp_path / "replay.py").write_text(REPLAY)
    done = run(tmp_path, "one.json")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        "0 customers, one.json --version payment_method_types=allowed_payment_method_types\n"
    )


def test_missing_recordings_are_named_with_the_way_to_say_where_they_are(tmp_path):
    done = run(tmp_path / "nowhere")
    assert done.returncode == 2
    assert f"There are no recordings in {tmp_path / 'nowhere'}" in done.stderr
    assert "make recorded RECORDED=path" in done.stderr
