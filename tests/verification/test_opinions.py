from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from tests.verification.graphs import constant, model, save, seeded_mlp, value
from zoo.jobs import CaseFile, CaseList
from zoo.records import FeedCase, Signature, SourceDescription, TensorSpec, Tolerance
from zoo.tensors import load_tensors, save_tensors
from zoo.verification.evidence import Answers, judge
from zoo.verification.feeds import make_feeds
from zoo.verification.opinions import (
    FOLDER,
    QUICK,
    REFERENCE,
    THOROUGH,
    USUAL,
    Asking,
    Variant,
    blame,
    chosen,
    read_opinions,
    write_opinions,
)
from zoo.verification.runtime import Session
from zoo.verification.tolerances import Policy

REPEATED, THREADS, BARE, WITNESS = (
    Variant("all", repeat=1),
    Variant("all", threads=0),
    Variant("none"),
    Variant(REFERENCE),
)


def source_of(proto, folder):
    """Feeds with the answers of a right graph, as a source worker leaves them."""
    session, files = Session(save(proto, folder, "right.onnx")), []
    for name in ("feeds", "outputs"):
        (folder / name).mkdir()
    description = SourceDescription(Signature((TensorSpec("x", "float32", ("batch", 5)),)))
    for number, (case, feeds) in enumerate(make_feeds(description)):
        file = CaseFile(case, number)
        save_tensors(folder / "feeds" / file.name, feeds)
        save_tensors(folder / "outputs" / file.name, session.run(feeds))
        files.append(file)
    return Answers(CaseList(tuple(files), {}), folder), description


def judged(proto, source, description, folder, variants):
    (folder / "outputs").mkdir(parents=True)
    path = save(proto, folder)
    session = Session(path)
    for file in source.cases.cases:
        save_tensors(
            folder / "outputs" / file.name, session.run(load_tensors(source.folder / "feeds" / file.name))
        )
    write_opinions(Asking(path, chosen(source.cases.cases), source.folder, folder), variants)
    return judge(source, Answers(source.cases, folder), description, Policy())


def test_every_way_agrees_on_an_honest_graph(tmp_path):
    source, description = source_of(seeded_mlp(), tmp_path)
    report = judged(seeded_mlp(), source, description, tmp_path / "runtime", THOROUGH)
    assert report.passed
    assert len(read_opinions(tmp_path / "runtime")) == len(THOROUGH)
    assert any(", optimisation none" in case.case.name for case in report.cases)
    assert not any("at fault" in note for note in report.notes)


def test_the_reference_evaluator_witnesses_against_the_converter(tmp_path):
    source, description = source_of(seeded_mlp(), tmp_path)
    wrong = seeded_mlp()
    wrong.graph.node[2].op_type = "Sigmoid"
    report = judged(wrong, source, description, tmp_path / "runtime", THOROUGH)
    assert not report.passed
    assert any(
        "the converter: ONNX Runtime and onnx's reference evaluator both differ" in n for n in report.notes
    )


@pytest.mark.parametrize(
    ("witness", "culprit"), [(1.99e-3, "the converter"), (1e-5, "a kernel of ONNX Runtime")]
)
def test_a_witness_that_is_off_by_about_as_much_accuses_no_kernel(tmp_path, witness, culprit):
    """Both are off by the bound of 2e-3, the one by a little more and the other by a little less."""
    file = CaseFile(FeedCase("typical-2", "typical", 2, 0), 0)
    source, runtime = tmp_path / "source", tmp_path / "runtime"
    opinion = runtime / FOLDER / WITNESS.slug
    for folder, error in ((source / "outputs", 0), (runtime / "outputs", 2.01e-3), (opinion, witness)):
        folder.mkdir(parents=True)
        save_tensors(folder / file.name, {"y": np.full((2, 3), 1 + error)})
    cases = CaseList((file,), {})
    description, policy = SourceDescription(Signature()), Policy(Tolerance(0.0, 2e-3))
    report = judge(Answers(cases, source), Answers(cases, runtime), description, policy)
    assert any(f"at fault: {culprit}" in note for note in report.notes)


def test_a_graph_that_draws_random_numbers_is_found(tmp_path):
    random = seeded_mlp()
    noise = helper.make_node("RandomUniformLike", ["x"], ["noise"], low=0.0, high=1e-3)
    random.graph.node.insert(0, noise)
    random.graph.node.insert(1, helper.make_node("Add", ["x", "noise"], ["shaken"]))
    random.graph.node[2].input[0] = "shaken"
    source, description = source_of(random, tmp_path)
    report = judged(random, source, description, tmp_path / "runtime", QUICK)
    assert not report.passed


def test_a_graph_whose_first_run_is_always_the_same_is_found_by_its_second(tmp_path):
    random = seeded_mlp()
    made = helper.make_node("RandomUniformLike", ["x"], ["noise"], low=0.0, high=1e-3, seed=1.0)
    random.graph.node.insert(0, made)
    random.graph.node.insert(1, helper.make_node("Add", ["x", "noise"], ["shaken"]))
    random.graph.node[2].input[0] = "shaken"
    path = save(random, tmp_path, "right.onnx")
    description = SourceDescription(Signature((TensorSpec("x", "float32", ("batch", 5)),)))
    (tmp_path / "feeds").mkdir()
    (tmp_path / "outputs").mkdir()
    case, feeds = next(iter(make_feeds(description, batches=(2,))))
    file = CaseFile(case, 0)
    save_tensors(tmp_path / "feeds" / file.name, feeds)
    save_tensors(tmp_path / "outputs" / file.name, Session(path).run(feeds))
    source = Answers(CaseList((file,), {}), tmp_path)
    report = judged(random, source, description, tmp_path / "runtime", (Variant("all", repeat=1),))
    assert report.cases[0].passed
    assert any("not repeatable" in note for note in report.notes)


@pytest.mark.parametrize(
    ("right", "culprit"),
    [
        ({USUAL: True, BARE: True, THREADS: True, WITNESS: True}, None),
        ({USUAL: False, BARE: False, WITNESS: True}, "a kernel of ONNX Runtime"),
        ({USUAL: False, BARE: False, WITNESS: False}, "the converter: "),
        ({USUAL: False, BARE: False}, "the converter, most likely"),
        ({USUAL: False, BARE: True, Variant("basic"): True, Variant("extended"): False}, "level 'extended'"),
        ({USUAL: True, BARE: False}, "only right once ONNX Runtime's optimiser"),
        ({USUAL: True, THREADS: False}, "number of threads"),
        ({USUAL: True, REPEATED: False}, "not repeatable"),
    ],
)
def test_the_pair_that_disagrees_names_the_culprit(right, culprit):
    found = blame(right)
    assert found is None if culprit is None else culprit in found


def test_the_chosen_cases_are_typical_ones_of_few_and_many_rows():
    sizes = (("typical", 1), ("typical", 2), ("typical", 300), ("zeros", 2))
    files = [CaseFile(FeedCase(f"{f}-{n}", f, n, 0), i) for i, (f, n) in enumerate(sizes)]
    assert [file.case.batch for file in chosen(files)] == [2, 300]
    assert chosen([CaseFile(files[0].case, 0, refusal="no")]) == []


def test_a_way_in_which_a_graph_does_not_run_is_noted_and_no_fault(tmp_path):
    source, description = source_of(seeded_mlp(), tmp_path)
    folder = tmp_path / "runtime"
    report = judged(seeded_mlp(), source, description, folder, (WITNESS,))
    (folder / "opinions" / WITNESS.slug / "refusal.txt").write_text("no kernel", encoding="utf-8")
    again = judge(source, Answers(source.cases, folder), description, Policy())
    assert report.passed
    assert again.passed
    assert "reference: no kernel" in again.notes


def test_an_operator_without_a_reference_gives_no_opinion(tmp_path):
    node = helper.make_node("FusedMatMul", ["x", "w"], ["y"], domain="com.microsoft")
    stored = [constant("w", np.eye(5, dtype=np.float32))]
    proto = model(
        [node], [value("x", ["batch", 5])], [value("y", ["batch", 5])], stored, domains=["com.microsoft"]
    )
    source, description = source_of(proto, tmp_path)
    assert judged(proto, source, description, tmp_path / "runtime", (WITNESS,)).passed
