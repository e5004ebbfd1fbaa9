"""The live playground: what a page may say, who may open it, and that its numbers are those of `ascribe.train`."""

import asyncio
import base64
import collections
import contextlib
import dataclasses
import importlib
import json
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

import ascribe
from ascribe import UserError, datasets
from ascribe.cli import main
from ascribe.playground.live import bench, guard, messages, outbox, pictures, server
from ascribe.playground.live.messages import Allowance, Message, read
from ascribe.playground.live.session import Session

from .test_browser import HOSTILE, WATCH, Page, chromium

SETTINGS = {"optimizer": "sgd", "batch_size": 8, "loss": None}
RULES = ["backpropagation", "feedback-alignment"]


def numbers():
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((120, 3))
    found = datasets.load((inputs, np.tanh(inputs @ [1.0, -2.0, 0.5]) + 0.1 * inputs[:, 0]), seed=1)
    return dataclasses.replace(found, name=HOSTILE)


@pytest.fixture(scope="module")
def live():
    """A server that runs, with two rules and the control compiled."""
    made = server.make_server(numbers(), RULES, network="4", activation="tanh", address="127.0.0.1", port=0, **SETTINGS)
    thread = threading.Thread(target=made.run)
    thread.start()
    assert made.bench.wait(lambda: False, lambda left: None) and not made.bench.problems
    yield made
    made.end()
    thread.join(20)
    assert not thread.is_alive() and not made.sessions


# What a page may say.


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"do": "play"}', Message("play")),
        ('{"do": "speed", "value": 3}', Message("speed", 3)),
        ('{"do": "seed", "value": 7}', Message("seed", 7)),
        ('{"do": "rate", "value": 1}', Message("rate", 1.0)),
        ('{"do": "rate", "value": 0.5, "rule": "fa"}', Message("rate", 0.5, "fa")),
    ],
)
def test_messages_are_read(text, wanted):
    assert read(text, ["bp", "fa"]) == wanted


@pytest.mark.parametrize(
    "text",
    [
        *("", "x", "[]", "1", "null", '"play"', "{", "[" * 1000, "9" * 1000, '{"do": 1}', '{"do": ["play"]}', '{"do": "quit"}'),
        *('{"do": "__class__"}', '{"do": "play", "value": 1}', '{"do": "play", "rule": "bp"}', '{"do": "rate"}'),
        *('{"do": "rate", "value": NaN}', '{"do": "rate", "value": Infinity}', '{"do": "rate", "value": 1e999}'),
        *('{"do": "rate", "value": "0.1"}', '{"do": "rate", "value": true}', '{"do": "rate", "value": 0}'),
        *('{"do": "rate", "value": -1}', '{"do": "rate", "value": 101}', '{"do": "rate", "value": [1]}'),
        *('{"do": "rate", "value": 1, "rule": "dfa"}', '{"do": "rate", "value": 1, "rule": {}}'),
        *('{"do": "speed", "value": 6}', '{"do": "speed", "value": 1.0}', '{"do": "speed", "value": true}'),
        *('{"do": "seed", "value": -1}', '{"do": "seed", "value": 2147483648}', '{"do": "seed", "value": 1e300}'),
    ],
)
def test_anything_else_is_one_sentence(text):
    with pytest.raises(UserError) as told:
        read(text, ["bp", "fa"])
    assert len(str(told.value)) < 300 and "\n" not in str(told.value)


def test_messages_are_counted_over_time():
    allowance = Allowance(0.0)
    assert [allowance.take(0.0) for _ in range(messages.AT_ONCE + 1)] == [True] * messages.AT_ONCE + [False]
    assert allowance.take(1.0) and not Allowance(0.0).take(-1e9)


def test_what_nobody_reads_is_bounded():
    async def read_late():
        box = outbox.Outbox(asyncio.get_running_loop())
        for number in range(1000):
            box.put({"kind": "frame", "number": number})
            box.put({"kind": "refused", "number": number})
        found = [await box.take() for _ in range(outbox.NOTES + 1)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(box.take(), 0.05)
        return found

    found = asyncio.run(read_late())
    assert [one["number"] for one in found] == [*range(1000 - outbox.NOTES, 1000), 999]
    assert found[-1]["kind"] == "frame"


# Who may open it.


@pytest.mark.parametrize(
    ("host", "address", "own"),
    [
        *[("127.0.0.1:8000", "127.0.0.1", True), ("localhost:9", "127.0.0.1", True), ("[::1]:9", "::1", True)],
        *[("evil.example:8000", "127.0.0.1", False), ("127.0.0.1.evil.example", "127.0.0.1", False), ("", "127.0.0.1", False)],
        *[("10.0.0.7:80", "127.0.0.1", False), ("10.0.0.7:80", "10.0.0.7", True), ("localhost", "10.0.0.7", False)],
        *[("10.0.0.7:80", "0.0.0.0", True), ("evil.example", "0.0.0.0", False), ("Box.local:1", "box.local", True)],
    ],
)
def test_names_of_the_server(host, address, own):
    assert guard.is_own_name(host, address) is own


def asked(live, path=None, **headers):
    url = live.url if path is None else f"{live.url.partition('/?')[0]}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


def test_the_page_is_for_those_with_the_token_alone(live):
    status, headers, page = asked(live)
    assert status == 200 and live.token not in page and "<title>ascribe play: " in page
    for name, value in guard.HEADERS:
        assert headers[name.lower()] == value
    policy = page.partition('Content-Security-Policy" content="')[2].partition('"')[0]
    assert "connect-src &#x27;self&#x27;" in policy and "unsafe" not in policy and "default-src &#x27;none&#x27;" in policy
    for path in (
        "/",
        "/?token=",
        f"/?token={live.token}x",
        f"/?token={live.token[:9]}",
        f"/?token={live.token}&token={live.token}",
        "/?token=%ff",
    ):
        status, headers, told = asked(live, path)
        assert status == 403 and told.count("\n") == 1 and "token" in told and headers["x-frame-options"] == "DENY"
    assert asked(live, Host="evil.example")[0] == asked(live, Origin="http://evil.example")[0] == 403
    assert asked(live, f"/nothing?token={live.token}")[0] == 404


def opened(live, *, token=None, origin=None, **more):
    place = live.url.partition("/?")[0]
    address = f"{place.replace('http', 'ws')}/socket?token={live.token if token is None else token}"
    return connect(address, origin=place if origin is None else origin, open_timeout=10, **more)


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "guess"},
        {"token": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://localhost:1"},
    ],
)
def test_sockets_of_others_are_refused(live, wrong):
    with pytest.raises(InvalidStatus) as told:
        opened(live, **wrong)
    assert told.value.response.status_code == 403 and not live.sessions


def test_a_socket_without_an_origin_or_under_another_name_is_refused(live):
    place = live.url.partition("/?")[0].removeprefix("http://")
    with pytest.raises(InvalidStatus):
        connect(f"ws://{place}/socket?token={live.token}", open_timeout=10)
    name = {"Host": "evil.example"}
    with pytest.raises(InvalidStatus):
        opened(live, origin="http://evil.example", additional_headers=name)


# A tab from its beginning to its end.


def say(tab, do, **more):
    tab.send(json.dumps({"do": do, **more}))


def heard(tab, wanted, seconds=60.0):
    """The next message of which that is true."""
    end = time.monotonic() + seconds
    while True:
        message = json.loads(tab.recv(timeout=max(0.0, end - time.monotonic())))
        if wanted(message):
            return message


def frame(tab, wanted=lambda frame: True):
    return heard(tab, lambda one: one["kind"] == "frame" and wanted(one))


def empty(live, seconds=10.0):
    end = time.monotonic() + seconds
    while live.sessions:
        assert time.monotonic() < end, "a session goes on"
        time.sleep(0.01)


def test_the_numbers_are_those_of_training(live):
    """After two epochs, of every rule and the control; and a step more is another one."""
    data, epochs = numbers(), 2
    with opened(live) as tab:
        begun = frame(tab)
        assert begun["step"] == 0 and list(begun["rules"]) == [*RULES, "frozen"]
        for number in range(epochs):
            say(tab, "epoch")
            found = frame(tab, lambda one, number=number: one["epoch"] == number + 1 and one["place"] == 0)
        say(tab, "step")
        further = frame(tab, lambda one: one["place"] == 1)
    empty(live)
    assert found["step"] == epochs * (len(data.train) // 8) and further["step"] == found["step"] + 1
    for name in begun["rules"]:
        told = found["rules"][name]
        rule, only = ("backpropagation", "last") if name == "frozen" else (name, None)
        network = ascribe.training.network_for("4", data, "tanh")
        runs = ascribe.train(network, data, rule, learning_rate=0.1, seeds=[0], epochs=epochs, only=only, **SETTINGS)
        np.testing.assert_allclose(told["validation"][0], runs.curves["validation_loss"][0, -1], rtol=1e-10)
        np.testing.assert_allclose(told["validation"][1], runs.curves["validation_rmse"][0, -1], rtol=1e-10)
        if only is None:
            for layer, name_of in enumerate(("linear1", "linear2")):
                for kind, of in (("angles", "gradient_angle"), ("ratios", "gradient_norm_ratio")):
                    curve = runs.curves[f"{of}/{name_of}"][0, -1]
                    np.testing.assert_allclose(told[kind][layer], curve, rtol=1e-6, atol=1e-5)
        assert further["rules"][name]["validation"][0] != told["validation"][0]


def test_an_epoch_in_parts_is_the_epoch(live):
    """Its mean loss is that of `ascribe.train`, wherever it is cut, and the next parts count for themselves."""
    data, name = numbers(), "feedback-alignment"
    learner = live.bench.learners[name]
    learning, which = learner.begin(0, 0.1), learner.batches(0, 0)
    for first, count in ((0, 1), (1, 3), (4, learner.steps_in_epoch - 4)):
        learner.advance(learning, 0, which, first, count)
    network = ascribe.training.network_for("4", data, "tanh")
    runs = ascribe.train(network, data, name, learning_rate=0.1, seeds=[0], epochs=2, **SETTINGS)
    np.testing.assert_allclose(learning.mean_loss(), runs.train_loss[0, 0], rtol=1e-10)
    assert learning.mean_loss() is None
    learner.advance(learning, 1, learner.batches(0, 1), 0, learner.steps_in_epoch)
    np.testing.assert_allclose(learning.mean_loss(), runs.train_loss[0, 1], rtol=1e-10)


def test_one_rule_diverges_and_leaves_its_neighbors_alone(live):
    results = []
    for rate in (0.1, 100.0):
        with opened(live) as tab:
            frame(tab)
            say(tab, "rate", value=rate, rule="feedback-alignment")
            for _ in range(40):
                say(tab, "epoch")
            found = frame(tab, lambda one: one["epoch"] == 40 and one["place"] == 0)
            results.append(found["rules"])
            if rate == 100.0:
                say(tab, "restart")
                assert frame(tab, lambda one: one["run"] == 2)["rules"]["feedback-alignment"]["diverged"] is None
        empty(live)
    well, ill = results
    assert well["feedback-alignment"]["diverged"] is None and 1 <= ill["feedback-alignment"]["diverged"] < found["step"]
    assert ill["feedback-alignment"]["validation"] == [None, None]
    for name in ("backpropagation", "frozen"):
        assert ill[name]["validation"] == well[name]["validation"]


def test_play_pause_seed_and_speed(live):
    with opened(live) as tab:
        first = frame(tab)
        say(tab, "play")
        assert frame(tab, lambda one: one["step"] >= 30)["playing"]
        say(tab, "pause")
        rested = frame(tab, lambda one: not one["playing"])["step"]
        say(tab, "step")
        assert frame(tab)["step"] == rested + 1
        say(tab, "seed", value=5)
        other = frame(tab, lambda one: one["seed"] == 5)
        losses = [one["rules"]["backpropagation"]["validation"][0] for one in (first, other)]
        assert other["step"] == 0 and losses[0] != losses[1]
        say(tab, "speed", value=0)
        say(tab, "play")
        began = time.monotonic()
        frame(tab, lambda one: one["step"] >= 2)
        assert time.monotonic() - began > 0.8  # two steps at 2 a second
    empty(live)


def test_nothing_is_compiled_when_a_rate_changes(live):
    learner = live.bench.learners["backpropagation"]
    learning = learner.begin(3, 0.05)
    which = learner.batches(3, 0)
    learner.advance(learning, 0, which, 0, 1)
    learner.look(learning, 0)
    with compiled() as programs:
        for rate in (0.01, 1e-7, 3.0):
            learner.set_rate(learning, rate)
            learner.advance(learning, 0, which, 1, 3)
            learner.look(learning, 0)
    assert programs == []


@contextlib.contextmanager
def compiled():
    """What is compiled within it."""
    import jax

    found = []
    listener = lambda name, seconds, **_: found.append(name) if name.endswith("backend_compile_duration") else None
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        yield found
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)


def test_wrong_messages_are_answered_and_training_goes_on(live):
    with opened(live) as tab:
        frame(tab)
        for text in ("x", b"\x00\xff", '{"do": "rate", "value": NaN}'):
            tab.send(text)
            assert heard(tab, lambda one: one["kind"] == "refused")["why"].endswith(".")
        say(tab, "step")
        assert frame(tab)["step"] == 1
    empty(live)


def closed(tab):
    """The code and reason that the server closes a tab with."""
    with pytest.raises(ConnectionClosed) as told:
        while True:
            tab.recv(timeout=10)
    return told.value.rcvd.code, told.value.rcvd.reason


def test_a_message_that_is_too_long_closes_the_socket(live):
    with opened(live) as tab:
        tab.send("x" * (messages.LONGEST + 1))
        assert closed(tab)[0] == 1009
    empty(live)


def test_a_flood_closes_the_socket(live):
    with opened(live) as tab:
        with contextlib.suppress(ConnectionClosed):
            for _ in range(10 * messages.AT_ONCE):
                say(tab, "pause")
        assert closed(tab) == (1008, "too many messages in a second")
    empty(live)


def test_a_closed_tab_ends_its_training_within_a_second(live):
    with opened(live) as tab:
        frame(tab)
        say(tab, "play")
        frame(tab, lambda one: one["step"] > 5)
        (session,) = live.sessions
    began = time.monotonic()
    empty(live)
    assert time.monotonic() - began < 1 and not session._thread.is_alive() and session._learnings == {}


def stalled(live, *says):
    """A tab that says this, and reads nothing."""
    place, _, token = live.url.removeprefix("http://").partition("/?token=")
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect(("127.0.0.1", int(place.partition(":")[2])))
    key = base64.b64encode(bytes(16)).decode()
    heads = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {key}"]
    heads = [f"GET /socket?token={token} HTTP/1.1", f"Host: {place}", f"Origin: http://{place}", *heads]
    made.sendall("\r\n".join([*heads, "", ""]).encode())
    assert made.recv(12) == b"HTTP/1.1 101"
    for text in says:
        made.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode())  # masked with zeros
    return made


@pytest.mark.slow
def test_a_tab_that_reads_nothing_holds_nobody_up_and_is_closed(live, monkeypatch):
    """Its frames have a megabyte: its socket takes some, then the newest alone waits for it."""
    say_frame, put, taken = Session._say, collections.Counter(), []

    def heavy(session):
        put[session] += 1
        session._seen = {**session._seen, "weight": "x" * 2**20}
        say_frame(session)

    class Counted(outbox.Outbox):
        async def take(self):
            taken.append(await super().take())
            return taken[-1]

    with opened(live, max_size=2**22) as other:
        frame(other)
        (first,) = live.sessions
        monkeypatch.setattr(server, "Outbox", Counted)
        monkeypatch.setattr(Session, "_say", heavy)
        with stalled(live, '{"do": "speed", "value": 5}', '{"do": "play"}'):
            began = time.monotonic()
            while (slow := next(iter(live.sessions - {first}), None)) is None or put[slow] < 40:
                assert time.monotonic() - began < 30
                time.sleep(0.05)
            assert len(taken) < 15
            say(other, "step")
            assert frame(other)["step"] == 1
            began = time.monotonic()
            while slow in live.sessions:
                assert time.monotonic() - began < server.STALLED + 5
                time.sleep(0.05)
            say(other, "step")
            assert frame(other)["step"] == 2 and not slow._thread.is_alive() and len(taken) < 15
    empty(live)


def test_tabs_are_few(live):
    with contextlib.ExitStack() as tabs:
        for _ in range(server.TABS):
            frame(tabs.enter_context(opened(live)))
        with opened(live) as another:
            code, reason = closed(another)
            assert code == 1013 and "4 tabs" in reason
    empty(live)


def test_an_error_while_it_trains_is_told(live, monkeypatch):
    monkeypatch.setattr(Session, "_train", lambda self, count: 1 / 0)
    session, told = begun(live.bench)
    session.tell(Message("step"))
    found = []
    while not found or found[-1]["kind"] != "ended":
        found.append(told.get(timeout=20))
    assert "ZeroDivisionError" in found[-1]["why"] and session.join(5.0)


def begun(bench):
    """A session of that bench, and what it says."""
    told = queue.Queue()
    session = Session(bench, told.put)
    session.start()
    return session, told


def test_a_rule_that_cannot_be_compiled_is_told_and_the_others_learn(live, monkeypatch):
    failing = bench.Bench({name: one.recipe for name, one in live.bench.learners.items()})
    for name, learner in failing.learners.items():
        monkeypatch.setattr(learner, "compile", (lambda stopped: 1 / 0) if name == RULES[1] else lambda stopped: None)
    session, told = begun(failing)
    assert told.get(timeout=20) == {"kind": "compiling", "left": [*RULES, "frozen"]}
    failing.begin()
    while (ready := told.get(timeout=20))["kind"] != "ready":
        assert ready["kind"] == "compiling"
    assert list(ready["problems"]) == [RULES[1]] and "ZeroDivisionError" in ready["problems"][RULES[1]]
    assert list(told.get(timeout=20)["rules"]) == [RULES[0], "frozen"]
    session.stop()
    assert session.join(5.0)
    failing.end(5.0)


def test_the_end_of_a_bench_ends_those_who_wait_for_it(live):
    waiting = bench.Bench({name: one.recipe for name, one in live.bench.learners.items()})
    session, told = begun(waiting)
    assert told.get(timeout=20)["kind"] == "compiling"
    waiting.end(1.0)
    assert session.join(5.0) and told.empty()


# What is drawn.


def test_images_of_units_keep_their_places_and_signs():
    weight = np.zeros((3, 6))
    weight[0, 1], weight[2, 5] = 2.0, -1.0
    found = pictures.images(weight, (2, 3, 1))
    assert {name: found[name] for name in ("count", "height", "width", "channels", "scale")} == {
        **{"count": 3, "height": 2, "width": 3, "channels": 1, "scale": 2.0}
    }
    values = np.frombuffer(base64.b64decode(found["bytes"]), np.uint8).reshape(3, 6)
    np.testing.assert_array_equal(values, np.round(127.5 + 127.5 * weight / 2))
    kernels = np.arange(2 * 2 * 1 * 5.0).reshape(2, 2, 1, 5)
    assert pictures.images(kernels, (8, 8, 1))["count"] == 5
    many = pictures.images(np.ones((64, 4)), (2, 2, 1))
    assert (many["count"], many["units"]) == (pictures.MOST, 64)
    assert pictures.images(np.full((2, 4), np.nan), (4,)) | {"bytes": ""} == {
        **{"count": 1, "units": 1, "height": 2, "width": 4, "channels": 1, "scale": 0.0, "bytes": ""}
    }
    wide = pictures.images(np.ones((500, 700)), (700,))
    assert wide["height"] <= pictures.MATRIX and wide["width"] <= pictures.MATRIX and wide["count"] == 1


def test_histograms_are_symmetric_shares():
    found = pictures.histogram(np.array([-1.0, 1.0, 0.0, 0.0, np.inf]))
    assert found["scale"] == 1.0 and len(found["counts"]) == pictures.BINS
    assert (found["counts"][0], found["counts"][-1], found["counts"][pictures.BINS // 2]) == (0.5, 0.5, 1.0)
    assert set(pictures.histogram(np.zeros(4))["counts"]) == {0.0, 1.0}


# What is asked for.


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["moons", "--live", "--networks", "3-4-1"], "a network begins with 2- and ends with -1; got '3-4-1'"),
        (["moons", "--live", "--networks", "4,8"], "one network at a time; --networks has several"),
        (["moons", "--live", "--networks", "nothing"], "nothing"),
        (["moons", "--live", "--rules", "nobody"], "unknown rule 'nobody'"),
        (["moons", "--live", "--rules", "bp,perceptron", "--networks", "2-1"], "all rules learn from the same batches here"),
        (["moons", "--live", "--port", "70000"], "port"),
        (["moons", "--live", "--address", "no such place"], "nothing can listen at no such place"),
        (["moons", "--live", "--optimizers", "adamm"], "adamm"),
        (["moons", "--live", "--batch-size", "0"], "batch_size"),
        (["moons", "--live", "--out", "x.html"], "--live serves the page and writes none"),
        (["moonz", "--live"], "moonz"),
        (["moons", "--port", "80"], "--port is about a page that is served: add --live"),
        (["moons", "--open-page"], "--open-page is about a page that is served"),
    ],
)
def test_wrong_input_is_one_sentence(capsys, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert main(["play", *arguments]) == 2
    told = capsys.readouterr().err
    assert told.startswith("ascribe: ") and sentence in told and told.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_told_before_anything_is_loaded(capsys, monkeypatch):
    real = importlib.import_module

    def missing(name, *rest):
        if name.partition(".")[0] == "uvicorn":
            raise ImportError("no", name="uvicorn")
        return real(name, *rest)

    monkeypatch.setattr("ascribe.errors.importlib.import_module", missing)
    assert main(["play", "nothing-like-this", "--live"]) == 2
    assert capsys.readouterr().err == "ascribe: a live playground needs uvicorn: pip install 'ascribe-learning[play]'.\n"


@pytest.mark.parametrize(("address", "warned"), [([], False), (["--address", "::1"], False), (["--address", "0.0.0.0"], True)])
def test_it_listens_to_this_machine_alone_unless_told_otherwise(capsys, monkeypatch, address, warned):
    listening = []
    monkeypatch.setattr(server.Server, "run", lambda self: listening.append(self.listening))
    assert main(["play", "moons", "--live", "--rules", "bp", "--networks", "2-4-1", *address]) == 0
    out, err = capsys.readouterr()
    with listening[0] as one:
        place, port = one.getsockname()[:2]
        assert place == (address[1] if address else "127.0.0.1") and f":{port}/?token=" in out and out.count("\n") == 1
    assert ("whoever reaches 0.0.0.0" in err, err.count("\n")) == (warned, int(warned))


@pytest.mark.slow
def test_the_command_prints_its_address_and_ends_at_ctrl_c(tmp_path):
    command = [sys.executable, "-m", "ascribe", "play", "moons", "--live", "--rules", "bp", "--networks", "2-4-1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        line = process.stdout.readline()
        assert re.fullmatch(r"page: http://127\.0\.0\.1:\d+/\?token=[\w-]{32}\n", line)
        with urllib.request.urlopen(line.split()[1], timeout=10) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        told = process.communicate(timeout=60)
    assert (process.returncode, told) == (130, ("", "\nascribe: the page is no longer served.\n"))
    assert list(tmp_path.iterdir()) == []


# The page in a browser.


@pytest.fixture(scope="module")
def browser(live):
    if chromium.find() is None:
        pytest.skip("no Chromium is installed")
    with chromium.browser() as tab:
        tab.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        yield Page(tab, live.url)


@pytest.fixture
def shown(browser, live):
    browser.open()
    browser.wait("main.app.ready && main.app.history.steps.length > 0")
    yield browser
    assert browser("faults") == [] and browser("document.title") == f"ascribe play: {HOSTILE}"
    browser.tab.open("about:blank")
    empty(live)


@pytest.mark.slow
def test_the_page_plays_and_its_curves_move(shown):
    canvases = [
        *("#loss-curve", "#score-curve", "#angle-curve", "#ratio-curve", "#active-curve"),
        ".card .units",
        ".card .spread",
    ]
    before = [shown.picture(one) for one in canvases]
    shown.click("#play")
    shown.wait("main.app.step >= 30")
    assert shown("document.querySelector('#play').getAttribute('aria-label')") == "Pause"
    shown.click("#play")
    shown.wait("!main.app.playing")
    time.sleep(0.5)
    steps = shown("main.app.step")
    # Of backpropagation, the first rule, the angle is 0 and the ratio 1 from the beginning; those of the others move.
    assert all(shown.picture(one) != old for one, old in zip(canvases, before, strict=True))
    shown.press("s")
    shown.wait(f"main.app.step === {steps + 1}")
    shown.press("e")
    shown.wait("main.app.place === 0")
    shown.wait("document.querySelector('#live').textContent.startsWith(`Epoch ${main.app.epoch}, step `)")
    shown.press("n")
    shown.wait("main.app.seed === 1 && main.app.step === 0")
    shown.press("r")
    shown.wait("main.app.run === 3")
    shown.press("End", "#loss-curve")
    rows = shown("[...document.querySelectorAll('#tip div')].map((one) => one.innerText)")
    assert len(rows) == 3


@pytest.mark.slow
def test_rates_and_choices_of_the_page(shown, live):
    shown.set("#rate", -2)
    shown.set("#speed", 4)
    (session,) = live.sessions
    names = [*RULES, "frozen"]
    until(lambda: session._rates == dict.fromkeys(names, 0.01) and session._speed == 4)
    shown.click("#own-rates")
    shown.set("#rates [data-name=feedback-alignment]", 0)
    until(lambda: session._rates == dict.fromkeys(names, 0.01) | {"feedback-alignment": 1.0})
    shown.click("#own-rates")
    until(lambda: session._rates == dict.fromkeys(names, 0.01))
    before = shown.picture("#angle-curve")
    shown.click("#along [value=epochs]")
    assert shown.picture("#angle-curve") != before and not shown("document.querySelector('#layer-field').hidden")
    shown("window.saved = []; HTMLAnchorElement.prototype.click = function () { saved.push(this.download); }")
    shown.click("#table")
    shown.click("#picture")
    shown.wait("saved.length === 2")
    assert shown("LiveSaving.table(main.app).split('\\r\\n').length") == 2 + len(names)
    nodes = shown.tab.call("Accessibility.getFullAXTree")["nodes"]
    focusable = [
        (one["role"]["value"], one.get("name", {}).get("value", ""))
        for one in nodes
        if any(entry["name"] == "focusable" and entry["value"]["value"] for entry in one.get("properties", []))
    ]
    assert len(focusable) > 20
    assert [role for role, name in focusable if not name and role not in ("RootWebArea", "generic")] == []
    for width in (360, 768, 1280):
        shown.tab.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 500)
        assert shown("document.documentElement.scrollWidth") <= width


def until(true, seconds=10.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_the_page_says_why_it_is_not_connected(shown, live, monkeypatch):
    monkeypatch.setattr(server, "TABS", 0)
    shown.open()
    shown.wait("main.app.ended")
    told = shown("document.querySelector('#state-told').textContent")
    assert told == "The connection was closed: 0 tabs train already: close one, then try again."
    assert shown("document.querySelector('#play').disabled && !document.querySelector('#again').hidden")
