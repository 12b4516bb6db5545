import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.wire.asset_ids import address_in, address_of, asset_id, id_at, is_derived, pointer_id, sandbox_id

HEX = "000000002ca87246870a5face5cbfa35"
PAGE = "0a1b2c3d4e5f678#file_00000000ab#p_3.jpg"


@pytest.mark.parametrize(
    ("written", "identity"),
    [
        ("file-AbC", "file-AbC"),
        (f"sediment://file_{HEX}", f"file_{HEX}"),
        ("file-service://file-AbC?shared=1", "file-AbC"),
        (PAGE, PAGE),
        (PAGE.replace("#", "*"), PAGE),
        (PAGE.replace("#", "%23"), PAGE),
        ("sediment://" + PAGE.replace("#", "%23"), PAGE),
        ("", None),
    ],
)
def test_an_id_is_one_however_it_is_written(written: str, identity: str | None) -> None:
    assert asset_id(written) == identity


def test_other_schemes_are_no_pointers() -> None:
    assert pointer_id("sediment://file_1*wm") == "file_1#wm"
    assert [
        pointer_id(other) for other in ("sandbox:/mnt/data/x", "https://example.org/file-1", "", "sediment://")
    ] == [None] * 4


@pytest.mark.parametrize(
    ("url", "address", "identity"),
    [
        (
            f"https://chatgpt.com/backend-api/estuary/content?id=file_{HEX}&ts=493619&p=fs&cid=1&sig=canary&v=0",
            f"chatgpt.com/backend-api/estuary/content?id=file_{HEX}",
            f"file_{HEX}",
        ),
        # Root-relative, under its other path, the last of several ids
        ("/api/estuary/content?id=file_1&id=file_2&sig=canary", "here/api/estuary/content?id=file_2", "file_2"),
        ("/backend-api/estuary/content?id=file_1*wm", "here/backend-api/estuary/content?id=file_1#wm", "file_1#wm"),
        ("/backend-api/estuary/content?id=file_1%23wm", "here/backend-api/estuary/content?id=file_1#wm", "file_1#wm"),
        ("/backend-api/estuary/content?sig=canary", "here/backend-api/estuary/content", "here/backend-api/estuary/content"),
        # An id elsewhere may be anything
        ("https://files.oaiusercontent.com/file-AbC?se=2026&sp=r&sig=canary%3D&id=x", "files.oaiusercontent.com/file-AbC", "file-AbC"),
        ("https://FILES.oaiusercontent.com/a/file_1%23p.jpg", "files.oaiusercontent.com/a/file_1#p.jpg", "file_1#p.jpg"),
        (
            "https://sdmntprwestus.oaiusercontent.com/files/00000000-2ca8-7246-870a-5face5cbfa35/raw?se=1&sig=canary",
            "sdmntprwestus.oaiusercontent.com/files/00000000-2ca8-7246-870a-5face5cbfa35/raw",
            f"file_{HEX}",
        ),
        ("https://x.oaiusercontent.com/?sig=canary", "x.oaiusercontent.com/", "x.oaiusercontent.com/"),
        ("https://x.oaiusercontent.com/filed/a-file-1", "x.oaiusercontent.com/filed/a-file-1", "x.oaiusercontent.com/filed/a-file-1"),
    ],
)  # fmt: skip
def test_of_a_url_its_address_is_kept_and_the_address_names_the_asset(url: str, address: str, identity: str) -> None:
    assert address_in(url, "here") == address
    assert id_at(address) == identity


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file-1",
        "javascript:alert(1)",
        "data:image/png;base64,AA",
        "file:///etc/passwd",
        "https://[::1/x",
        "http://host",
        "?id=1",
    ],
)
def test_what_is_no_url_of_the_web_has_no_address(url: str) -> None:
    assert address_in(url, "here") is None


def test_an_exchange_has_the_address_that_its_url_had() -> None:
    assert (
        address_of("chatgpt.com", "/backend-api/estuary/content", "file_1*wm")
        == "chatgpt.com/backend-api/estuary/content?id=file_1#wm"
    )
    assert address_of("FILES.oaiusercontent.com", "/file-A%23b", "other") == "files.oaiusercontent.com/file-A#b"


def test_a_smaller_encoding_says_so_in_its_path() -> None:
    stored = "sdmntprwestus.oaiusercontent.com/files/00000000-2ca8-7246-870a-5face5cbfa35/"
    assert id_at(stored + "drvs/md/raw") == f"file_{HEX}"
    assert [is_derived(stored + path) for path in ("drvs/md/raw", "raw")] == [True, False]


def test_a_sandbox_file_is_known_by_its_message_and_path() -> None:
    assert sandbox_id("m-1", "/mnt/data/tides.csv") == "sandbox:m-1/mnt/data/tides.csv"
    assert sandbox_id("m-1", "sandbox:/mnt/data/tides.csv") == "sandbox:m-1/mnt/data/tides.csv"


@given(st.text(), st.text())
def test_nothing_makes_it_raise(url: str, host: str) -> None:
    address = address_in(url, host)
    assert address is None or len(address) < 2100
    assert len(id_at(address or url)) < 2100
