use super::*;

fn varint(bytes: &[u8]) -> Result<u64, WireErrorKind> {
    Cursor::new(bytes).varint().map_err(|error| error.kind)
}

#[test]
fn varints() {
    assert_eq!(varint(&[0]), Ok(0));
    assert_eq!(varint(&[0x7f]), Ok(127));
    assert_eq!(varint(&[0x80, 1]), Ok(128));
    // Longer than needed is legal up to ten bytes.
    assert_eq!(varint(&[0x80, 0x80, 0x80, 0]), Ok(0));
    assert_eq!(varint(&[0x80, 0x80, 0x80, 0, 9, 9, 9, 9, 9]), Ok(0));
    assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Ok(u64::MAX));
    assert_eq!(varint(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Err(WireErrorKind::Varint));
    assert_eq!(varint(&[0x80; 11]), Err(WireErrorKind::Varint));
    assert_eq!(varint(&[0x80; 9]), Err(WireErrorKind::Truncated));
    assert_eq!(varint(&[]), Err(WireErrorKind::Truncated));
}

#[test]
fn varints_written_are_read_back() {
    for shift in 0..64 {
        for value in [1_u64 << shift, (1_u64 << shift) - 1, u64::MAX >> shift] {
            let mut buf = Vec::new();
            put_varint(&mut buf, value);
            assert_eq!(buf.len(), varint_len(value));
            assert_eq!(varint(&buf), Ok(value));
            // What is behind it is none of its own.
            for behind in [[0x00; 8], [0x80; 8], [0xff; 8]] {
                let more = [&buf[..], &behind].concat();
                let mut cursor = Cursor::new(&more);
                assert_eq!(cursor.varint(), Ok(value));
                assert_eq!(cursor.position(), buf.len());
            }
        }
    }
}

#[test]
fn tags() {
    let tag = |bytes: &[u8]| Cursor::new(bytes).tag().map_err(|error| error.kind);
    assert_eq!(tag(&[]), Ok(None));
    assert_eq!(tag(&[0x0a]), Ok(Some(1 << 3 | 2)));
    assert_eq!(tag(&[0x85, 1]), Ok(Some(16 << 3 | 5)));
    assert_eq!(tag(&[0x8a, 0x80, 0]), Ok(Some(1 << 3 | 2)));
    assert_eq!(tag(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Err(WireErrorKind::WireType));
    assert_eq!(tag(&[0x02]), Err(WireErrorKind::FieldNumber));
    assert_eq!(tag(&[0x0c]), Err(WireErrorKind::Group));
    assert_eq!(tag(&[0x0e]), Err(WireErrorKind::WireType));
    assert_eq!(tag(&[0x0f]), Err(WireErrorKind::WireType));
    assert_eq!(tag(&[0x80, 0x80, 0x80, 0x80, 0x10]), Err(WireErrorKind::FieldNumber));
    assert_eq!(tag(&[0x80]), Err(WireErrorKind::Truncated));
    assert_eq!(Cursor::new(&[0x0b]).field(), Ok(Some((1, WireType::Group))));
}

fn skip_all(bytes: &[u8]) -> Result<usize, WireError> {
    let mut cursor = Cursor::new(bytes);
    let mut n = 0;
    while let Some((number, wire_type)) = cursor.field()? {
        cursor.skip(number, wire_type)?;
        n += 1;
    }
    Ok(n)
}

#[test]
fn groups() {
    let group = |content: &[u8]| [&[0x0b][..], content, &[0x0c]].concat();
    assert_eq!(skip_all(&group(&[])), Ok(1));
    assert_eq!(skip_all(&group(&group(&[0x10, 1]))), Ok(1));
    assert_eq!(skip_all(&[0x0b]).map_err(|e| e.kind), Err(WireErrorKind::Group));
    assert_eq!(skip_all(&[0x0b, 0x14]).map_err(|e| e.kind), Err(WireErrorKind::Group));
    assert_eq!(skip_all(&[0x0c]).map_err(|e| e.kind), Err(WireErrorKind::Group));
    let nested = |n: usize| [vec![0x0b; n], vec![0x0c; n]].concat();
    assert_eq!(skip_all(&nested(GROUP_DEPTH as usize)), Ok(1));
    assert_eq!(skip_all(&nested(100_000)).map_err(|e| e.kind), Err(WireErrorKind::Depth));
}

#[test]
fn positions_count_from_the_outermost_message() {
    // A message at offset 2 whose second field claims 9 bytes of the 1 it has.
    let mut cursor = Cursor::new(&[0x0a, 5, 0x08, 1, 0x12, 9, 0]);
    cursor.tag().unwrap().unwrap();
    let mut inner = cursor.message().unwrap();
    let (number, wire_type) = inner.field().unwrap().unwrap();
    inner.skip(number, wire_type).unwrap();
    assert_eq!((inner.start(), inner.position(), inner.whole().len()), (2, 4, 5));
    inner.tag().unwrap().unwrap();
    let error = inner.bytes().unwrap_err();
    assert_eq!(error, WireError { kind: WireErrorKind::Truncated, at: 5 });
    assert_eq!(error.to_string(), "the message ends inside a field at byte 5");
}

#[test]
fn huge_lengths_are_refused() {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, u64::MAX);
    bytes.push(0);
    assert!(Cursor::new(&bytes).bytes().is_err());
    assert!(Cursor::new(&bytes).message().is_err());
}

#[test]
fn fields_end_at_damage() {
    let mut fields = Fields::new(&[0x08, 1, 0x07, 0x08, 1]);
    assert_eq!(fields.next(), Some((1, Field::Varint(1))));
    assert_eq!(fields.next(), None);
    assert_eq!(fields.next(), None);
}

#[test]
fn message_fields_of_any_length() {
    for len in [0, 1, 127, 128, 16_383, 16_384] {
        let mut buf = vec![7];
        put_message(&mut buf, 1, |buf| buf.extend(std::iter::repeat_n(1, len)));
        let mut expected = vec![7];
        put_bytes(&mut expected, 1, &vec![1; len]);
        assert_eq!(buf, expected);
    }
}
