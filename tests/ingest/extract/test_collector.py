"""The cycle collector is off while pages are read, and afterwards as it was."""

from __future__ import annotations

import gc
import threading

import pytest

from ingest.extract import extract
from ingest.extract.collector import Collector
from schemas.errors import ExtractionError
from tests.ingest.extract.pages import CAPTURED, URL


def test_it_is_off_until_the_last_of_several_threads_is_done() -> None:
    collector, inside, leave, seen = Collector(), threading.Event(), threading.Event(), []

    def read() -> None:
        with collector:
            inside.set()
            leave.wait(10)
        seen.append(gc.isenabled())

    thread = threading.Thread(target=read)
    with collector:
        thread.start()
        assert inside.wait(10)
        assert not gc.isenabled()
    assert not gc.isenabled(), "the other thread still reads"
    leave.set()
    thread.join()
    assert seen == [True]


def test_a_program_that_turned_it_off_finds_it_off() -> None:
    gc.disable()
    try:
        with Collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_a_page_that_gives_no_article_leaves_it_on() -> None:
    with pytest.raises(ExtractionError):
        extract(body=b" ", url=URL, captured=CAPTURED, content_type=None)
    assert gc.isenabled()
