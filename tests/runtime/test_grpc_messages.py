"""gRPC's messages: our own description of them against Triton's, and what is read from whatever comes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgewright.runtime.faults import BadRequest

schema = pytest.importorskip("edgewright.runtime.lanes.rpc.schema")
tensors = pytest.importorskip("edgewright.runtime.lanes.rpc.tensors")
CALLS, MESSAGES, Asked, read_request = schema.CALLS, schema.MESSAGES, tensors.Asked, tensors.read
parse_small, texts = tensors.parse_small, tensors.texts

X = np.arange(8, dtype=np.float32).reshape(2, 4)
RAW = X.tobytes()
Request = MESSAGES["ModelInferRequest"]
BIG = 2**20 + 1


def message(kind="FP32", shape=(2, 4), raw=(RAW,), **contents):
    made = Request(model_name="double", raw_input_contents=raw)
    one = made.inputs.add(name="x", datatype=kind, shape=shape)
    for place, values in contents.items():
        getattr(one.contents, place).extend(values)
    return made


def understood(**told):
    return read_request(message(**told).SerializeToString())


def field(number, content):
    """A field of that number with these bytes, as they travel."""
    size, length = len(content), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + content


def told(field):
    within = field.message_type or field.enum_type
    oneof = field.containing_oneof
    return (
        field.number,
        field.type,
        field.is_repeated,
        within and within.full_name,
        oneof and oneof.name,
        bool(field.message_type and field.message_type.GetOptions().map_entry),
    )


def differences(ours, theirs):
    for one in ours.fields:
        other = theirs.fields_by_name.get(one.name)
        if other is None or told(one) != told(other):
            yield f"{ours.full_name}.{one.name}"
    for nested in ours.nested_types:
        yield from differences(nested, theirs.nested_types_by_name[nested.name])


def test_every_field_has_the_number_and_type_that_tritons_client_gives_it():
    pytest.importorskip("grpc")  # without it Triton's client raises another error than a missing module
    from tritonclient.grpc import model_config_pb2, service_pb2

    theirs = {**model_config_pb2.DESCRIPTOR.message_types_by_name, **service_pb2.DESCRIPTOR.message_types_by_name}
    assert [d for name, ours in MESSAGES.items() for d in differences(ours.DESCRIPTOR, theirs[name])] == []
    (service,) = service_pb2.DESCRIPTOR.services_by_name.values()
    wanted = {m.name: (m.input_type.name, m.output_type.name, m.client_streaming) for m in service.methods}
    assert service.full_name == "inference.GRPCInferenceService"
    assert {n: (a.DESCRIPTOR.name, b.DESCRIPTOR.name, s) for n, (a, b, s) in CALLS.items()} == wanted
    kinds = model_config_pb2.DESCRIPTOR.enum_types_by_name["DataType"].values_by_name
    ours = MESSAGES["ModelInput"].DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_name
    assert {n: v.number for n, v in ours.items()} == {n: v.number for n, v in kinds.items()}


@pytest.mark.parametrize(
    "text", ["import 'x';", "message M { group G = 1; }", "message M { string a = 1 }", "message ?"]
)
def test_what_is_not_of_the_language_is_not_guessed_at(text):
    with pytest.raises(ValueError, match=r"."):
        schema.read(text)


TYPED = [
    ("BOOL", "bool_contents", [True, False]),
    ("INT8", "int_contents", [-128, 127]),
    ("INT16", "int_contents", [-32768, 32767]),
    ("INT32", "int_contents", [-(2**31), 5]),
    ("INT64", "int64_contents", [-(2**63), 5]),
    ("UINT8", "uint_contents", [0, 255]),
    ("UINT16", "uint_contents", [0, 65535]),
    ("UINT32", "uint_contents", [0, 2**32 - 1]),
    ("UINT64", "uint64_contents", [0, 2**64 - 1]),
    ("FP32", "fp32_contents", [0.5, -1.0]),
    ("FP64", "fp64_contents", [0.1, -1.0]),
    ("BYTES", "bytes_contents", [b"a\0", b""]),
]


@pytest.mark.parametrize(("kind", "place", "values"), TYPED, ids=[t[0] for t in TYPED])
def test_typed_elements_are_the_same_tensor_as_raw_ones(kind, place, values):
    found = understood(kind=kind, shape=(1, 2), raw=(), **{place: values}).inputs["x"]
    assert found.shape == (1, 2) and found.ravel().tolist() == values
    if kind == "BYTES":
        raw = b"".join(len(v).to_bytes(4, "little") + v for v in values)
    else:
        raw = found.tobytes()
    again = understood(kind=kind, shape=(1, 2), raw=(raw,)).inputs["x"]
    assert again.dtype == found.dtype and again.tolist() == found.tolist()


def test_half_floats_travel_raw():
    half = np.array([[1.5, -2.0]], np.float16)
    np.testing.assert_array_equal(understood(kind="FP16", shape=(1, 2), raw=(half.tobytes(),)).inputs["x"], half)
    brain = (half.astype(np.float32).view(np.uint32) >> 16).astype("<u2").tobytes()
    np.testing.assert_array_equal(understood(kind="BF16", shape=(1, 2), raw=(brain,)).inputs["x"], half)


def test_an_empty_tensor_is_one():
    assert understood(shape=(0, 4), raw=(b"",)).inputs["x"].shape == (0, 4)
    assert understood(shape=(0, 4), raw=()).inputs["x"].shape == (0, 4)
    assert understood(kind="BYTES", shape=(0,), raw=(b"",)).inputs["x"].shape == (0,)


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"kind": "FP31"}, "no datatype of the protocol"),
        ({"kind": ""}, "no datatype of the protocol"),
        ({"shape": (2, -4)}, "negative size"),
        ({"shape": (1,) * 33}, "more than 32 axes"),
        ({"shape": (2**40, 2**40)}, "more than"),
        ({"shape": (0, 2**62)}, "more than"),
        ({"shape": (2, 5)}, "takes 40 bytes, 32 were sent"),
        ({"raw": (b"123",)}, "takes 32 bytes, 3 were sent"),
        ({"raw": (X.tobytes(), b"")}, "holds 2 tensors, 1 inputs"),
        ({"fp32_contents": X.ravel()}, "send one or the other"),
        ({"int_contents": [1]}, "send one or the other"),
        ({"raw": ()}, "has 0 elements, its shape takes 8"),
        ({"raw": (), "fp32_contents": [1.0]}, "has 1 elements, its shape takes 8"),
        ({"raw": (), "fp64_contents": [1.0] * 8}, "belong in fp32_contents, not fp64_contents"),
        ({"raw": (), "fp32_contents": [1.0] * 8, "int_contents": [1]}, "fills 2 lists"),
        ({"kind": "INT8", "raw": (), "int_contents": [128] * 8}, "a number that INT8 cannot"),
        ({"kind": "UINT16", "raw": (), "uint_contents": [65536] * 8}, "a number that UINT16 cannot"),
        ({"kind": "FP16", "raw": (), "fp32_contents": [1.0] * 8}, "has no typed contents"),
        ({"kind": "BYTES", "shape": (2**31,), "raw": (b"",)}, "more than 65,536 elements of BYTES"),
        ({"kind": "BYTES", "shape": (1,), "raw": (b"\xff\xff\xff\xff",)}, "announces 4294967295 bytes"),
        ({"kind": "BYTES", "shape": (1,), "raw": (b"\0\0\0\0x",)}, "1 bytes more"),
    ],
)
def test_contents_that_do_not_fit_are_refused(told, says):
    with pytest.raises(BadRequest, match=says):
        understood(**told)


@pytest.mark.parametrize("place", ["inputs", "outputs"])
def test_shared_memory_is_refused_and_not_taken_for_an_empty_tensor(place):
    told = message()
    if place == "outputs":
        told.outputs.add(name="y")
    getattr(told, place)[0].parameters["shared_memory_region"].string_param = "r"
    with pytest.raises(BadRequest, match="clients on this machine"):
        read_request(told.SerializeToString())


def test_an_input_that_comes_twice_is_refused():
    told = message(raw=(X.tobytes(), X.tobytes()))
    told.inputs.append(told.inputs[0])
    with pytest.raises(BadRequest, match="given twice"):
        read_request(told.SerializeToString())


@pytest.mark.parametrize(
    ("which", "value", "priority"),
    [("int64_param", 3, 3), ("uint64_param", 2**64 - 1, 2**64 - 1), ("int64_param", -1, None),
     ("string_param", "1", None), ("bool_param", True, None), ("double_param", 1.0, None)],
)  # fmt: skip
def test_numbers_of_a_request_are_whole(which, value, priority):
    told = message()
    setattr(told.parameters["priority"], which, value)
    if priority is None:
        with pytest.raises(BadRequest, match="'priority' is no whole number"):
            read_request(told.SerializeToString())
    else:
        assert read_request(told.SerializeToString()).priority == priority


def test_a_timeout_is_in_microseconds_and_none_where_it_is_not_told():
    told = message()
    assert read_request(told.SerializeToString()).timeout_s is None
    told.parameters["timeout"].int64_param = 1500
    assert read_request(told.SerializeToString()).timeout_s == 0.0015


def test_an_unknown_field_is_stepped_over():
    raw = message().SerializeToString() + field(15, b"what the next version has")
    np.testing.assert_array_equal(read_request(raw).inputs["x"], X)


def test_an_empty_message_is_a_request_without_inputs():
    assert read_request(b"") == Asked("", "", "", {})


def test_a_message_that_is_cut_short_anywhere_is_refused_or_short_of_something():
    whole = message(raw=(X.tobytes(),)).SerializeToString()
    for end in range(1, len(whole)):
        try:
            assert read_request(whole[:end]).inputs == {}  # cut between two fields, before the inputs
        except BadRequest:
            continue


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (field(5, b"") * BIG, "69,632 fields"),
        (field(7, b"") * BIG, "69,632 fields"),
        (field(5, field(3, bytes(17 * 2**20))), "send large tensors there"),
        (field(7, bytes(BIG)) + b"\x3a", "cut short"),
        (field(7, bytes(BIG)) + b"\x3a" + b"\xff" * 12, "cut short"),
        (field(7, bytes(BIG)) + b"\x0b", "a group"),
    ],
)
def test_large_messages_are_looked_at_before_they_take_a_multiple_of_their_size(raw, says):
    with pytest.raises(BadRequest, match=says):
        read_request(raw)


def test_a_large_message_whose_bytes_are_a_tensors_is_read():
    found = understood(shape=(1, BIG), raw=(bytes(4 * BIG),)).inputs["x"]
    assert found.shape == (1, BIG)


@given(st.binary(max_size=200), st.integers(0, 70), st.integers(0, 70))
def test_whatever_comes_is_a_request_or_refused(noise, place, cut):
    whole = message(raw=(X.tobytes(),)).SerializeToString()
    for raw in (noise, whole[:place] + noise + whole[place + cut :]):
        try:
            assert isinstance(read_request(raw), Asked)
        except BadRequest as error:
            assert str(error)


@given(
    st.integers(0, 3), st.lists(st.binary(max_size=9), max_size=3), st.binary(max_size=9), st.integers(0, 90),
    st.integers(0, 9),
)  # fmt: skip
def test_what_is_read_apart_is_what_is_parsed_whole(count, tensors, noise, place, cut):
    told = message(raw=())
    del told.inputs[:]
    for number in range(count):
        one = told.inputs.add(name=f"x{number}", datatype="UINT8", shape=[len(noise)])
        if not tensors:
            one.contents.uint_contents.extend(noise)
    told.raw_input_contents.extend(tensors)
    whole = told.SerializeToString()
    for raw in (whole, whole[:place] + noise + whole[place + cut :]):
        with pytest.MonkeyPatch.context() as patched:
            found = []
            for bulk in (2**30, 0):
                patched.setattr("edgewright.runtime.lanes.rpc.tensors._BULK", bulk)
                try:
                    asked = read_request(raw)
                    found.append((asked.model, asked.id, {k: v.tolist() for k, v in asked.inputs.items()}))
                except BadRequest:
                    found.append(None)
        if b"\x0b" not in raw[:-1] or found[1] is not None:  # a group, which protobuf skips
            assert found[0] == found[1]


def test_typed_elements_are_converted_piece_by_piece():
    values = np.arange(20_001, dtype=np.int64)
    assert (
        understood(kind="INT64", shape=(20_001,), raw=(), int64_contents=values.tolist()).inputs["x"] == values
    ).all()
    with pytest.raises(BadRequest, match="65,536 elements"):
        understood(kind="BYTES", shape=(65_537,), raw=(), bytes_contents=[b""] * 65_537)


def test_messages_without_tensors_are_small():
    kind = MESSAGES["RepositoryIndexRequest"]
    assert not parse_small(kind, b"").ready
    with pytest.raises(BadRequest, match="may have 65,536 bytes"):
        parse_small(kind, field(9, bytes(BIG)))


def test_names_are_looked_for_at_the_front_alone():
    assert texts(field(1, b"m") + field(2, b"1"), (1, 2)) == ("m", "1")
    assert texts(field(1, b"") * 20 + field(2, b"1"), (1, 2)) == ("", "")
