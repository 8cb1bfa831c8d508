from __future__ import annotations

import pytest
import yaml
from samples import CPU, fingerprint

from pytc_auto.errors import PlanError
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.dataset import Declared
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Plan


@pytest.fixture(scope="module")
def text():
    return make_plan(fingerprint(), CPU).text()


@pytest.fixture
def raw(text):
    return yaml.safe_load(text)


def refused(raw, tmp_path):
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(PlanError) as error:
        Plan.load(path)
    return str(error.value).splitlines()


def test_an_unknown_key_is_refused_with_the_near_one(raw, tmp_path):
    raw["ptch"] = [1, 2, 3]
    raw["network"]["featurs"] = [1]
    lines = refused(raw, tmp_path)
    assert any("plan.yaml: ptch: unknown field. Did you mean patch?" in line for line in lines)
    assert any(f"network.{raw['network']['kind']}.featurs: unknown field. Did you mean features?" in line for line in lines)


def test_a_patch_that_does_not_fit_its_strides_is_refused_with_the_fix(raw, tmp_path):
    z = raw["patch"][0]
    raw["patch"][0] = z + 1
    (line,) = refused(raw, tmp_path)
    divisor = 2 ** sum(stride[0] == 2 for stride in raw["network"]["strides"])
    assert f"patch is {z + 1} voxels on z, but network.strides divide z by {divisor}. Use {z} or {z + divisor}" in line


def test_all_faults_are_reported_at_once(raw, tmp_path):
    raw["sampling"]["steps"] = -1
    raw["optimizer"]["kind"] = "sgd"
    del raw["folds"]
    lines = refused(raw, tmp_path)
    assert any("sampling.steps" in line and "-1" in line for line in lines)
    assert any("optimizer.kind" in line for line in lines)
    assert any("folds: is missing" in line for line in lines)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p["heads"][0]["offsets"].append([-500, 0, 0]), "reaches outside the patch"),
        (lambda p: p["heads"][0]["offsets"].append([0, 0, 0]), "reaches outside the patch"),
        (lambda p: p["why"].pop("patch"), "why has no entry for patch"),
        (lambda p: p["why"].update(pach={"rule": "x", "numbers": {}}), "why explains unknown fields: pach"),
        (lambda p: p["network"]["blocks"].pop(), "Give one entry per stage"),
        (lambda p: p["network"]["kernels"].__setitem__(0, [2, 3, 3]), "kernels must be odd"),
        (lambda p: p["network"]["strides"].__setitem__(0, [2, 2, 2]), "first stage's stride must be"),
        (lambda p: p.update(labels={"kind": "classes", "values": {0: "a", 1: "b"}, "unlabeled": []}), "does not go with labels"),
        (lambda p: p["heads"].__setitem__(0, {"kind": "offsets"}), "heads.0"),
        (lambda p: p.update(format_version=2), "format_version"),
    ],
)
def test_one_wrong_field_is_named(raw, tmp_path, change, message):
    change(raw)
    assert any(message in line for line in refused(raw, tmp_path))


def test_numbers_in_exponent_form_are_numbers(raw, tmp_path):
    text = make_plan(fingerprint(), CPU).text().replace("learning_rate: 0.001", "learning_rate: 3e-4")
    (tmp_path / "plan.yaml").write_text(text)
    assert Plan.load(tmp_path / "plan.yaml").optimizer.learning_rate == 3e-4


def test_a_key_given_twice_is_refused(tmp_path):
    (tmp_path / "dataset.yaml").write_text("task: neurons\ntask: objects\n")
    with pytest.raises(PlanError, match="given twice: task"):
        Declared.load(tmp_path / "dataset.yaml")


def test_files_that_are_not_documents(tmp_path):
    with pytest.raises(PlanError, match="cannot be read"):
        Plan.load(tmp_path / "none.yaml")
    (tmp_path / "broken.yaml").write_text("a: [1,")
    with pytest.raises(PlanError, match="not valid YAML"):
        Plan.load(tmp_path / "broken.yaml")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(PlanError, match="not valid JSON"):
        Plan.load(tmp_path / "broken.json")
    (tmp_path / "list.yaml").write_text("- 1\n")
    with pytest.raises(PlanError, match=r"list\.yaml"):
        Plan.load(tmp_path / "list.yaml")


def test_a_document_is_written_whole_or_not_at_all(tmp_path):
    plan = make_plan(fingerprint(), CPU)
    plan.save(tmp_path / "deep" / "plan.yaml")
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["plan.yaml"]
    assert Plan.load(tmp_path / "deep" / "plan.yaml") == plan


def test_fingerprints_survive_json(tmp_path):
    found = fingerprint()
    found.save(tmp_path / "f.json")
    assert type(found).load(tmp_path / "f.json") == found


def test_replacing_fields_checks_them():
    plan = make_plan(fingerprint(), CPU)
    with pytest.raises(ValueError, match="patch is 7 voxels"):
        plan.replace(patch=(7, 64, 64))
    assert plan.replace(name="other").name == "other"


def test_published_facts_need_a_source():
    facts = fingerprint()
    published = {"kind": "published", "sources": ["doi:10.1000/182"], "note": None}
    assert facts.replace(provenance=published).provenance.kind == "published"
    with pytest.raises(ValueError, match="published facts need a source"):
        facts.replace(provenance=published | {"sources": []})


def test_a_fingerprint_says_where_it_comes_from():
    raw = fingerprint().model_dump(mode="json")
    del raw["provenance"]
    with pytest.raises(PlanError, match="provenance: is missing"):
        Fingerprint.parse(raw, "fingerprint.json")
