"""The race of optimizers: runs repeat themselves, the journal resumes, the verdicts are what they say."""

import copy
import itertools
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.append(str(ROOT / "benchmarks"))  # last: its files have the names of packages

import race  # noqa: E402

# ---- a workload that takes milliseconds


def toy_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(160, 6)).astype(np.float32)
    y = (x @ rng.normal(size=(6, 3))).argmax(axis=1)
    x, y = torch.tensor(x), torch.tensor(y)
    return race.Data(race.Split(x[:96], y[:96]), race.Split(x[96:], y[96:]))


def toy_model():
    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))


def broken_data():
    """One training example is infinite: the loss of its batch is not a number."""
    data = toy_data()
    data.train.x[5] = math.inf
    return data


TOY = race.Workload("toy", "made up", toy_data, toy_model, race.cross_entropy, batch=16, steps=60)
PLAN = race.Plan(rounds=2, studies=2, trials=2, tuning_trials=2, repeats=3)
NAMES = ["SGD", "Adam", "Schedule-Free"]


def task(contestant="Adam", workload=TOY, seed=7, **changes):
    settings = race.CONTESTANTS[contestant].trials(0, 1)[0]
    return replace(race.Task(workload, "race", contestant, seed, 1, settings, workload.steps), **changes)


def toy_race(**options):
    return race.race([TOY], NAMES, PLAN, quiet=True, **options)


@pytest.fixture(scope="module")
def uninterrupted():
    return toy_race()


# ---- runs


@pytest.mark.parametrize("name", race.CONTESTANTS)
def test_every_contestant_lowers_the_loss_and_repeats_itself(name):
    settings = {"lr": 0.03, "beta": 0.9, "weight_decay": 1e-3}
    settings = {key: settings[key] for key in race.CONTESTANTS[name].space}
    one = race.run(task(name, settings=settings))
    assert one["losses"][-1] < 0.9 * 1.1  # log(3) = 1.1 is the loss of guessing
    assert one["losses"][-1] < one["losses"][0] and one["failed"] is None
    assert race.run(task(name, settings=settings)) == one
    assert race.run(task(name, settings=settings, seed=8)) != one


def test_a_step_of_ours_moves_the_model_of_torch():
    learner = race.Learner(TOY, race.CONTESTANTS["SGD"], {"lr": 0.5}, seed=0)
    learner.warmup = lambda step: 1.0
    before = [p.detach().clone() for p in learner.model.parameters()]
    learner.step(learner.gradient())
    for p, old in zip(learner.model.parameters(), before, strict=True):
        assert p.grad.abs().max() > 0
        torch.testing.assert_close(p.detach(), old - 0.5 * p.grad)


def test_kernels_are_matrices_of_the_same_memory_for_muon():
    params = [p.detach().numpy() for p in race.Convolution().parameters()]
    rule = race.muon(params, 0.02, 0.9, 0.0)
    assert [rule.is_matrix(i) for i in range(6)] == [True, False, True, False, False, False]
    assert all(np.shares_memory(p, q) for p, q in zip(params, rule.params, strict=True))
    only = race.muon([np.zeros((10, 320)), np.zeros(10)], 0.02, 0.9, 0.0)
    assert only.is_matrix(0)  # the last matrix is AdamW's only where it is not the only one


def test_start_and_order_of_data_are_the_same_for_all_rules():
    ones = [race.Learner(TOY, race.CONTESTANTS[name], race.slow(race.CONTESTANTS[name]), 3) for name in NAMES]
    assert len({one.dev_loss() for one in ones}) == 1
    rows = [[next(one.rows).tolist() for _ in range(7)] for one in ones]
    assert rows[0] == rows[1] == rows[2]
    assert sorted(sum(rows[0][:6], [])) == list(range(96))  # a pass is every example once
    assert rows[0] != [next(race.Learner(TOY, race.CONTESTANTS["SGD"], {"lr": 1.0}, 4).rows).tolist()]


def test_what_does_not_fill_a_batch_is_left_out_of_a_pass():
    rows = race.batches(10, 4, seed=0)
    first = [next(rows).tolist() for _ in range(2)]
    assert len(set(sum(first, []))) == 8 and len(next(rows)) == 4


def test_the_dev_loss_of_an_averaging_rule_is_that_of_its_average():
    settings = {"lr": 0.05, "beta": 0.9, "weight_decay": 0.0}
    learner = race.Learner(TOY, race.CONTESTANTS["Schedule-Free"], settings, 0)
    for _ in range(20):
        learner.step(learner.gradient())
    at_y = [p.copy() for p in learner.optimizer.params]
    loss = learner.dev_loss()
    assert all(np.array_equal(p, y) for p, y in zip(learner.optimizer.params, at_y, strict=True))
    race.assign(learner.optimizer.params, learner.optimizer.average)
    with torch.no_grad():
        data = TOY.data().dev
        assert loss == TOY.loss(learner.model(data.x), data.y).item()


def test_a_run_ends_at_the_first_look_at_or_below_the_target():
    whole = race.run(task())
    exact = {}
    learner = race.Learner(TOY, race.CONTESTANTS["Adam"], task().settings, 7)
    for step in range(1, 61):
        learner.step(learner.gradient())
        if step % race.EVERY == 0:
            exact[step] = learner.dev_loss()
    at = next(step for step in (30, 40, 50) if exact[step] == min(v for k, v in exact.items() if k <= step))
    short = race.run(task(target=exact[at]))
    assert whole["steps"] is None and short["steps"] == at
    assert short["losses"] == whole["losses"][: len(short["losses"])]
    assert len(short["losses"]) == sum(step <= at for step in race.grid(60))


def test_what_is_not_finite_is_a_miss_with_its_step():
    result = race.run(task(workload=replace(TOY, data=broken_data), target=-1.0))
    assert result["steps"] is None and 1 <= result["failed"] <= 6  # the example is in the first pass
    steep = replace(TOY, loss=lambda scores, _: (scores * scores).mean())
    wild = race.run(task("SGD", workload=steep, settings={"lr": 1e6}, target=-1.0))
    assert wild["steps"] is None and 1 < wild["failed"] < 60
    json.dumps(wild, allow_nan=False)


def test_the_gradient_is_clipped_where_the_workload_says_so():
    clipped = race.Learner(replace(TOY, clip=1e-3), race.CONTESTANTS["SGD"], {"lr": 1.0}, 0).gradient()
    free = race.Learner(TOY, race.CONTESTANTS["SGD"], {"lr": 1.0}, 0).gradient()
    norm = math.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in free))
    assert norm > 1e-3
    for a, b in zip(clipped, free, strict=True):
        np.testing.assert_allclose(a, b * 1e-3 / norm, rtol=1e-5)


def test_the_penalty_is_in_the_gradient_and_not_in_the_measure():
    plain = race.Learner(TOY, race.CONTESTANTS["SGD"], {"lr": 1.0}, 0)
    decayed = race.Learner(replace(TOY, l2=0.5), race.CONTESTANTS["SGD"], {"lr": 1.0}, 0)
    assert plain.dev_loss() == decayed.dev_loss()
    for p, a, b in zip(plain.tensors, plain.gradient(), decayed.gradient(), strict=True):
        expected = a + 0.5 * p.detach().numpy() if p.ndim > 1 else a
        np.testing.assert_allclose(b, expected, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    "name, shape, classes",
    [("softmax", (320,), 10), ("convolution", (32, 40), 10), ("recurrent", (24, 40), 10),
     ("next_frame", (160,), None)],
)  # fmt: skip
def test_the_models_of_the_race_learn_from_random_numbers(name, shape, classes):
    """Random, because nobody looks at the workload that is held out."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(64, *shape, generator=rng)
    y = torch.randn(64, 40, generator=rng) if classes is None else torch.arange(64) % classes
    data = race.Data(race.Split(x, y), race.Split(x, y))
    workload = replace(race.WORKLOADS[name], data=lambda: data)
    result = race.run(task("Adam", workload=workload, steps=60, settings={"lr": 3e-3, "beta": 0.9}))
    with torch.random.fork_rng():
        torch.manual_seed(7)
        start = workload.loss(workload.model()(x), y).item()
    assert result["lowest"] < 0.97 * start


def test_one_workload_is_held_out_and_budgets_are_alike():
    assert [name for name, one in race.WORKLOADS.items() if one.held_out] == ["next_frame"]
    assert {one.steps for one in race.WORKLOADS.values()} == {race.STEPS}
    assert len({one.number for one in race.CONTESTANTS.values()}) == len(race.CONTESTANTS) == 12


def test_frames_and_what_comes_next():
    x = np.arange(12.0).reshape(6, 2)
    inputs, targets = race.with_context([x, x[:5] + 100], 4)
    assert inputs.shape == (3, 8) and targets.shape == (3, 2)
    assert inputs[0].tolist() == list(range(8)) and targets[0].tolist() == [8, 9]
    assert inputs[1].tolist() == list(range(2, 10)) and targets[1].tolist() == [10, 11]
    assert targets[2].tolist() == [108, 109]  # no window reaches from one utterance into the next


def test_digits_are_standardized_with_the_training_set_alone():
    flat, bands = race.pooled(8, flat=True), race.pooled(24)
    assert flat.train.x.shape == (1200, 320) and bands.train.x.shape == (1200, 24, 40)
    assert len(flat.dev.x) == len(flat.dev.y) == 300
    np.testing.assert_allclose(flat.train.x.mean(dim=0), 0, atol=1e-4)
    np.testing.assert_allclose(flat.train.x.numpy().std(axis=0), 1, atol=1e-4)
    np.testing.assert_allclose(bands.train.x.numpy().std(axis=(0, 1)), 1, atol=1e-4)
    assert np.abs(flat.dev.x.mean(dim=0)).max() > 0.01


# ---- trials


@pytest.mark.parametrize("name", race.CONTESTANTS)
def test_trials_lie_in_the_declared_space(name):
    one = race.CONTESTANTS[name]
    trials = one.trials(3, 200)
    for setting, (low, high) in one.space.items():
        drawn = np.array([trial[setting] for trial in trials])
        drawn = 1 - drawn if setting == "beta" else drawn
        assert low * 0.9999 <= drawn.min() and drawn.max() <= high * 1.0001
        middle = math.sqrt(low * high)  # log-uniform: as many on either side
        assert 60 < (drawn < middle).sum() < 140
    assert one.lr[1] / one.lr[0] == pytest.approx(1000)
    assert one.why


def test_trials_depend_on_the_study_and_the_rule_and_on_nothing_else():
    first = {name: one.trials(5, 3) for name, one in race.CONTESTANTS.items()}
    for name, one in reversed(race.CONTESTANTS.items()):
        assert one.trials(5, 5)[:3] == first[name]
    assert first["momentum"] != first["Nesterov"]  # the same space, other draws
    assert race.CONTESTANTS["SGD"].trials(6, 3) != first["SGD"]


def test_tuning_repeats_and_studies_share_no_seed():
    plan = race.Plan()
    tuning = {one.seed for one in race.tuning_tasks(TOY, plan)}
    best = race.tuning_tasks(TOY, plan)[0]
    repeats = {one.seed for one in race.repeat_tasks(TOY, plan, best)}
    studies = [one.seed for one in race.race_tasks(TOY, ["SGD"], plan, 0.1)]
    assert tuning == {0} and len(repeats) == 10 and len(set(studies)) == 6 and len(studies) == 30
    assert not (tuning & repeats or tuning & set(studies) or repeats & set(studies))
    assert len(race.tuning_tasks(TOY, plan)) == 80
    assert {one.steps for one in race.tuning_tasks(TOY, plan)} == {TOY.steps // 3}


# ---- the race as a whole


def test_the_target_is_the_median_of_the_repeats_of_the_best_trial(uninterrupted):
    about = uninterrupted["workloads"]["toy"]
    tuned = [one for runs in uninterrupted["tuning"]["toy"].values() for one in runs]
    best = min(tuned, key=lambda one: one["lowest"])
    assert about["settings"].items() <= best.items()
    assert best in uninterrupted["tuning"]["toy"][about["target_from"]]
    assert about["target"] == np.median([one["lowest"] for one in uninterrupted["repeats"]["toy"]])
    assert uninterrupted["plan"]["runs"] == 4 * 2 + 3 + 3 * 8
    assert [len(runs) for runs in uninterrupted["race"]["toy"].values()] == [8, 8, 8]


def test_a_run_does_not_know_who_else_runs(uninterrupted):
    alone = race.race([TOY], ["Adam"], PLAN, quiet=True)
    assert alone["race"]["toy"]["Adam"] == uninterrupted["race"]["toy"]["Adam"]


def test_two_processes_find_the_same(uninterrupted):
    assert toy_race(jobs=2) == uninterrupted


class Stop(Exception):
    pass


def journal(path, **changes):
    return race.Journal(path, race.depends_on([TOY], NAMES, PLAN) | changes)


@pytest.mark.parametrize("torn", [b"", b'["toy race Adam 101 1", {"se'])
def test_an_interrupted_race_goes_on_to_the_same_end(uninterrupted, tmp_path, monkeypatch, torn):
    path, run, done = tmp_path / ".race" / "race.jsonl", race.run, []

    def counting(one):
        if len(done) == 17:
            raise Stop
        done.append(one.key)
        return run(one)

    monkeypatch.setattr(race, "run", counting)
    kept = journal(path)
    with pytest.raises(Stop):
        toy_race(journal=kept)
    kept.close()
    with open(path, "ab") as file:
        file.write(torn)
    first = done.copy()
    done.clear()
    done.extend(["now no stop comes"] * 18)
    kept = journal(path)
    assert list(kept.kept) == first
    assert toy_race(journal=kept) == uninterrupted
    assert len(done) - 18 == uninterrupted["plan"]["runs"] - 17  # nothing ran twice
    kept.close()
    assert (path.parent / ".gitignore").read_text() == "*\n"
    again = journal(path)
    assert len(again.kept) == uninterrupted["plan"]["runs"]
    again.remove()
    assert not path.exists()


def test_a_journal_of_something_else_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "race.jsonl"
    kept = journal(path)
    kept.add("a", {"steps": 10})
    kept.close()
    before = path.read_bytes()
    with pytest.raises(SystemExit, match="different code, versions.*Remove it to begin anew"):
        journal(path, code="other", versions={})
    assert path.read_bytes() == before
    path.write_bytes(before.replace(b'["a"', b'["a'))
    with pytest.raises(SystemExit, match="damaged.*begin anew"):
        journal(path)


def test_two_races_do_not_write_one_journal(tmp_path):
    kept = journal(tmp_path / "race.jsonl")
    with pytest.raises(SystemExit, match="another race is running"):
        journal(tmp_path / "race.jsonl")
    kept.close()
    journal(tmp_path / "race.jsonl").close()


def test_what_the_verdicts_do_is_no_reason_to_refuse_a_journal(tmp_path, monkeypatch):
    text = Path(race.__file__).read_text(encoding="utf-8")
    before = race.depends_on([TOY], NAMES, PLAN)
    copied = tmp_path / "race.py"
    monkeypatch.setattr(race, "__file__", str(copied))
    for old, new, same in [("Performance profiles:", "Profiles:", True), ("STEPS = ", "STEPS = 1 + ", False)]:
        assert old in text
        copied.write_text(text.replace(old, new, 1), encoding="utf-8")
        assert (race.depends_on([TOY], NAMES, PLAN) == before) == same


# ---- verdicts, by hand

INF = math.inf


def made_up(table, rounds=2, studies=3):
    """Results from the scores of each study; a second trial of each misses."""
    seeds = [[100 * part + study for study in range(1, studies + 1)] for part in range(1, rounds + 1)]

    def runs(values):
        pairs = zip(sum(seeds, []), values, strict=True)
        best = [{"seed": seed, "steps": None if value == INF else value} for seed, value in pairs]
        return best + [{"seed": one["seed"], "steps": None} for one in best]

    return {
        "plan": {"studies_seeds": seeds, "trials": 2},
        "race": {w: {name: runs(values) for name, values in rows.items()} for w, rows in table.items()},
    }


def test_the_score_of_a_study_is_its_best_trial():
    results = made_up({"w": {"A": [10, 20, 30, 40, 50, INF]}})
    assert race.scores(results) == {"w": {"A": [[10, 20, 30], [40, 50, INF]]}}
    results["race"]["w"]["A"].append({"seed": 103, "steps": 25})
    assert race.scores(results)["w"]["A"][0] == [10, 20, 25]


def test_seconds_are_steps_times_the_seconds_of_a_step():
    results = made_up({"w": {"A": [10, 20, 30, 40, 50, INF]}})
    with pytest.raises(ValueError, match="--timing"):
        race.scores(results, "seconds")
    with pytest.raises(ValueError, match="'miles'"):
        race.scores(results, "miles")
    results["timing"] = {"steps": {"w": {"A": {"seconds": 0.5}}}}
    assert race.scores(results, "seconds")["w"]["A"] == [[5, 10, 15], [20, 25, INF]]
    assert race.expected_best(results, "seconds")["w"]["A"][0] == INF


def test_a_win_is_clear_when_no_studies_overlap_in_any_round():
    results = made_up({
        "w": {
            "A": [10, 20, 30, 10, 10, 10],
            "B": [40, 40, 40, 20, INF, 20],
            "C": [40, 40, 30, 20, 20, 20],  # equals A's worst in the first round
            "D": [INF] * 6,
            "E": [INF] * 6,
        }
    })  # fmt: skip
    wins = race.clear_wins(results)["w"]
    assert wins == {"A": ["B", "D", "E"], "B": [], "C": ["D", "E"], "D": [], "E": []}
    results["timing"] = {"steps": {"w": {name: {"seconds": 1.0} for name in "ABCDE"}}}
    results["timing"]["steps"]["w"]["A"]["seconds"] = 2.0
    assert race.clear_wins(results, "seconds")["w"]["A"] == ["D", "E"]


def test_profiles_by_hand():
    results = made_up({"v": {"A": [10, 10], "B": [20, 50]}, "w": {"A": [30, INF], "B": [10, INF]}}, 1, 2)
    found = race.profiles(results)
    assert found["factors"] == [1, 2, 3, 4]
    assert found["shares"] == {"A": [0.5, 0.5, 0.75, 0.75], "B": [0.25, 0.5, 0.5, 0.5]}
    assert found["area"]["A"] == pytest.approx((0.5 + 0.5 + 0.75) / 3)
    assert found["area"]["B"] == pytest.approx((0.25 + 0.5 + 0.5) / 3)
    assert race.profiles(results, largest=2.0)["factors"] == [1, 2]


def test_the_expected_best_is_the_median_over_all_choices():
    values = [10, 10, 20, 40, 80, 160, INF, INF, INF, INF, INF, INF]
    results = made_up({"w": {"A": values[:6]}})  # its six misses are the second trials
    results["plan"]["trials"] = 5
    found = race.expected_best(results)["w"]["A"]
    for k in range(1, 6):
        best = sorted(min(chosen) for chosen in itertools.combinations(values, k))
        assert found[k - 1] == best[math.ceil(len(best) / 2) - 1]
    assert found == sorted(found, reverse=True) and found[-1] < INF


def test_the_table_names_everyone_and_who_never_arrived():
    text = race.table(made_up({"w": {"A": [10, 20, 30, 10, 10, 10], "B": [INF] * 6}}))
    assert "A" in text and "10 (1)" in text and "never (0)" in text


def test_verdicts_do_not_change_the_results(uninterrupted):
    before = copy.deepcopy(uninterrupted)
    race.scores(uninterrupted), race.clear_wins(uninterrupted), race.profiles(uninterrupted)
    race.expected_best(uninterrupted), race.table(uninterrupted)
    assert uninterrupted == before


# ---- seconds


def test_timing_measures_every_step_and_its_share(monkeypatch):
    units = iter([9.0, 1.0, 1.2, 1.0, 1.05, 1.0, 1.0])  # the first warms up; the next round is not steady
    monkeypatch.setattr(race, "calibration", lambda: next(units))
    found = race.timing([TOY], ["SGD", "Muon"], rounds=2, steps=3, quiet=True)
    assert found["rounds"] == 2 and found["thrown_away"] == 1
    assert found["calibrations"] == [[1.0, 1.05], [1.0, 1.0]]
    for row in found["steps"]["toy"].values():
        assert 0 < row["rule"] < row["seconds"] and row["fastest"] <= row["seconds"] <= row["slowest"]
        assert row["calibrated"] == pytest.approx(row["seconds"], rel=0.1)


def test_timing_gives_up_on_a_machine_that_is_never_steady(monkeypatch):
    units = itertools.cycle([1.0, 2.0])
    monkeypatch.setattr(race, "calibration", lambda: next(units))
    with pytest.raises(RuntimeError, match="3 rounds.*nothing else"):
        race.timing([TOY], ["SGD"], rounds=2, most=3, steps=1, quiet=True)


def test_the_calibration_takes_time():
    assert race.calibration(repeats=1) > 0


# ---- commands


def test_a_small_race_for_a_notebook_is_silent(monkeypatch, capfd):
    monkeypatch.setitem(race.WORKLOADS, "toy", TOY)
    found = race.short(["toy"], ["SGD", "Adam"], trials=2)
    assert capfd.readouterr() == ("", "")
    assert list(race.scores(found)["toy"]) == ["SGD", "Adam"]
    with pytest.raises(ValueError, match="no workload 'sotfmax': choose from softmax"):
        race.short(["sotfmax"])
    with pytest.raises(ValueError, match="no contestant 'Adan': choose from SGD"):
        race.short(contestants=["Adan"])


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--workload", "sotfmax"], "no workload 'sotfmax': choose from softmax, convolution"),
        (["--contestants", "Adam", "Adan"], "no contestant 'Adan': choose from SGD"),
        (["--jobs", "0"], "--jobs 1 or more"),
        (["--seed", "-1"], "--seed must be 0 or more"),
        (["--short", "--timing"], "nothing to add to"),
    ],
)
def test_errors_say_what_to_do(arguments, says, capsys):
    with pytest.raises(SystemExit):
        race.main(arguments)
    assert says in capsys.readouterr().err


def test_another_race_is_stored_under_another_name():
    names = {
        (): "race.json",
        ("--seed", "2"): "race-seed2.json",
        ("--workload", "softmax", "recurrent"): "race-softmax+recurrent.json",
        ("--seed", "1", "--contestants", "Adam"): "race-seed1-Adam.json",
    }
    for arguments, name in names.items():
        assert race.default_store(race.parse(arguments)).name == name


def test_the_command_stores_a_race_and_then_its_seconds(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(race.WORKLOADS, "toy", TOY)
    monkeypatch.setattr(race, "JOURNALS", tmp_path / ".race")
    full = race.race
    monkeypatch.setattr(
        race, "race", lambda w, c, plan, *, jobs, journal: full(w, c, PLAN, journal=journal, quiet=True)
    )
    path = tmp_path / "results" / "race.json"
    arguments = ["--workload", "toy", "--contestants", "SGD", "Adam", "--output", str(path)]
    with pytest.raises(SystemExit, match="run the race first"):
        race.main([*arguments, "--timing"])
    race.main(arguments)
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert "runs; stored in" in capsys.readouterr().out
    assert {"date", "commit", "cpu", "versions", "plan", "workloads", "race"} <= stored.keys()
    assert not list((tmp_path / ".race").glob("*.jsonl"))
    monkeypatch.setattr(race, "timing", lambda *_, **__: {"rounds": 1, "thrown_away": 0, "steps": {}})
    race.main([*arguments, "--timing"])
    timed = json.loads(path.read_text(encoding="utf-8"))
    assert {"date", "rounds"} <= timed.pop("timing").keys() and timed == stored


def test_the_stored_file_is_json_with_a_run_a_line(uninterrupted):
    text = race.layout(uninterrupted)
    assert json.loads(text) == json.loads(json.dumps(uninterrupted))
    assert sum('"lowest"' in line for line in text.splitlines()) == uninterrupted["plan"]["runs"]
    assert race.layout({"a": [], "b": {"c": {}}}) == '{\n "a": [],\n "b": {\n  "c": {}\n }\n}'
