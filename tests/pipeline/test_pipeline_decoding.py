from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import zarr
from tests_models import write_model, write_volume

import pytc_auto
from pytc_auto.cli import main
from pytc_auto.decoding import decode as decoders
from pytc_auto.errors import OutputError, PlanError
from pytc_auto.executors.claim import claimed
from pytc_auto.pipeline import decode_step
from pytc_auto.schema.model import DecoderChoice
from pytc_auto.schema.plan import Plan


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "model", working_scale=(1, 2, 1))


@pytest.fixture
def volume(tmp_path):
    return write_volume(tmp_path / "cell.h5")


def segmented(out):
    return zarr.open_array(out / "labels/segmentation/0", mode="r")[:]


def told_decoder(out):
    return [
        zarr.open_group(group, mode="r").attrs["pytc"]["decoder"]["parameters"] for group in (out, out / "labels/segmentation")
    ]


def predicted(model, volume, out, **more):
    (found,) = pytc_auto.predict([volume], model=model, out=out, **more)
    return found


def test_another_threshold_gives_what_predicting_with_it_gives(tmp_path, model, volume):
    out = predicted(model, volume, tmp_path / "out")
    before = segmented(out)
    chosen = pytc_auto.decode(out, {"threshold": 0.2, "min_size": 3})
    assert chosen.parameters == {"threshold": 0.2, "min_size": 3, "foreground_threshold": 0.5, "quantile": 0}
    DecoderChoice(kind="agglomerate", parameters=chosen.parameters).save(model / "decoder.json")
    again = predicted(model, volume, tmp_path / "again")
    np.testing.assert_array_equal(segmented(out), segmented(again))
    assert (segmented(out) != before).any()
    assert told_decoder(out) == told_decoder(again) == [chosen.parameters] * 2
    assert zarr.open_group(out / "labels/segmentation", mode="r").attrs["ome"]["image-label"] == {}
    assert sorted(path.name for path in (out / "labels").iterdir()) == ["segmentation", "zarr.json"]
    assert not (out / ".pytc" / "new").exists()
    pytc_auto.decode(out, {"threshold": 0.9, "min_size": 0})
    np.testing.assert_array_equal(segmented(out), before)


def test_what_needs_the_predictions_says_so(tmp_path, model, volume):
    out = predicted(model, volume, tmp_path / "out")
    before = segmented(out)
    with pytest.raises(
        OutputError, match=r"foreground_threshold needs the predictions, which were not kept.*min_size, threshold"
    ):
        pytc_auto.decode(out, {"foreground_threshold": 0.1})
    with pytest.raises(OutputError, match="the decoder mutex needs the predictions"):
        pytc_auto.decode(out, kind="mutex")
    np.testing.assert_array_equal(segmented(out), before)


def test_labels_name_the_predictions_that_are_kept(tmp_path, model, volume):
    out = predicted(model, volume, tmp_path / "out", keep_predictions=True)
    pytc_auto.decode(out, {"min_size": 3})
    told = zarr.open_group(out / "labels/segmentation", mode="r").attrs["ome"]["image-label"]
    assert told == {"source": {"image": "../../"}}


def test_kept_predictions_are_decoded_in_any_way(tmp_path, model, volume):
    out = predicted(model, volume, tmp_path / "out", keep_predictions=True)
    stored, plan = zarr.open_array(out / "0", mode="r")[:], Plan.load(model / "plan.yaml")
    for kind, parameters in (("agglomerate", {"foreground_threshold": 0.2}), ("mutex", {"bias": 0.4}), ("components", {})):
        chosen = pytc_auto.decode(out, parameters, kind=kind)
        expected = decoders.decode(stored, plan, chosen).repeat(2, axis=1)
        np.testing.assert_array_equal(segmented(out), expected[:, : segmented(out).shape[1]])
        assert told_decoder(out)[0] == chosen.parameters


def test_an_unknown_parameter_or_decoder_lists_the_known(tmp_path, model, volume):
    out = predicted(model, volume, tmp_path / "out")
    with pytest.raises(PlanError, match=r"decoder agglomerate: unknown parameter treshold\. Known are threshold, min_size"):
        pytc_auto.decode(out, {"treshold": 0.2})
    with pytest.raises(PlanError, match=r"there is no decoder fancy\. Known are agglomerate, mutex"):
        pytc_auto.decode(out, kind="fancy")
    with pytest.raises(PlanError, match=r"decoder seeded cannot read the heads affinities, foreground\. Use agglomerate, mutex"):
        pytc_auto.decode(out, kind="seeded")


@pytest.mark.parametrize("kind", [None, "components"])
def test_a_value_that_cannot_be_is_refused(tmp_path, model, volume, kind):
    out = predicted(model, volume, tmp_path / "out", keep_predictions=True)
    before = segmented(out)
    for value in (5.0, -0.1, float("nan"), "high", True):
        with pytest.raises(PlanError, match=r"decoder \w+: threshold is .*\. Give a number from 0 to 1\."):
            pytc_auto.decode(out, {"threshold": value}, kind=kind)
    with pytest.raises(PlanError, match=r"threshold is 5.*\n.*min_size is inf\. Give a number from 0 on\."):
        pytc_auto.decode(out, {"threshold": 5, "min_size": float("inf")}, kind=kind)
    np.testing.assert_array_equal(segmented(out), before)


def test_two_do_not_decode_one_output_at_once(tmp_path, model, volume):
    out = predicted(model, volume, tmp_path / "out")
    before = segmented(out)
    with claimed(out / ".pytc" / "claims" / "decode"), pytest.raises(OutputError, match="is decoding it"):
        pytc_auto.decode(out, {"threshold": 0.2})
    np.testing.assert_array_equal(segmented(out), before)


def test_a_folder_that_is_no_output_says_so(tmp_path, model, volume):
    with pytest.raises(OutputError, match=r"nothing: is not an output of pytc predict"):
        pytc_auto.decode(tmp_path / "nothing", {"threshold": 0.2})
    out = predicted(model, volume, tmp_path / "out")
    state = out / ".pytc" / "job.json"
    state.write_text(json.dumps({**json.loads(state.read_text()), "finished": False}))
    with pytest.raises(OutputError, match="is not complete"):
        pytc_auto.decode(out)
    with pytest.raises(OutputError, match=r"out: is not complete\. Run the same pytc predict again"):
        pytc_auto.evaluate(out, out)


def test_a_killed_decoding_goes_on_and_the_old_segmentation_stays(tmp_path, model, volume, monkeypatch):
    monkeypatch.setattr(decode_step, "PAINTED", 1)
    monkeypatch.setattr("pytc_auto.io.ome_zarr.CHUNK", (8, 8, 8))
    out = predicted(model, volume, tmp_path / "out")
    before, painted = segmented(out), []
    paint = decode_step.PaintTask.__call__

    def killed(task, box):
        painted.append(box)
        if len(painted) == 7:
            raise KeyboardInterrupt
        paint(task, box)

    monkeypatch.setattr(decode_step.PaintTask, "__call__", killed)
    with pytest.raises(KeyboardInterrupt):
        pytc_auto.decode(out, {"threshold": 0.2})
    np.testing.assert_array_equal(segmented(out), before)
    pytc_auto.decode(out, {"threshold": 0.2})
    assert len(painted) == len(set(painted)) + 1
    whole = predicted(model, volume, tmp_path / "whole")
    pytc_auto.decode(whole, {"threshold": 0.2})
    np.testing.assert_array_equal(segmented(out), segmented(whole))


def test_from_the_command_line(tmp_path, model, volume, monkeypatch, capsys):
    out = predicted(model, volume, tmp_path / "out")
    monkeypatch.setattr("sys.argv", ["pytc", "decode", str(out), "--set", "threshold=0.3", "--set", "min_size=5"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "threshold 0.3" in capsys.readouterr().out
    for given, told in ((["threshold"], "NAME=VALUE"), (["threshold=0.3", "threshold=0.5"], "given twice")):
        monkeypatch.setattr("sys.argv", ["pytc", "decode", str(out), *(part for text in given for part in ("--set", text))])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        assert told in capsys.readouterr().err


def test_what_is_gone_is_made_again_from_kept_predictions(tmp_path, model, volume):
    out = predicted(model, volume, tmp_path / "out", keep_predictions=True)
    before = segmented(out)
    shutil.rmtree(out / ".pytc" / "fragments")
    (out / ".pytc" / "graph.npz").unlink()
    (out / ".pytc" / "fragments.job").unlink()
    pytc_auto.decode(out)
    np.testing.assert_array_equal(segmented(out), before)
