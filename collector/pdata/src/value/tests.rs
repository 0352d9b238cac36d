use super::*;

fn written(value: &Value) -> Vec<u8> {
    let mut buf = Vec::new();
    put_any_value(&mut buf, value);
    buf
}

#[test]
fn what_is_written_is_read_back() {
    let leaves = [
        Value::Empty,
        Value::String("text".into()),
        Value::String(String::new()),
        Value::Bool(false),
        Value::Int(i64::MIN),
        Value::Double(-0.0),
        Value::Bytes(vec![0, 255]),
    ];
    let list = Value::Array(leaves.to_vec());
    let map = Value::Map(leaves.iter().map(|leaf| ("k".into(), leaf.clone())).collect());
    let deep = Value::Map(vec![("a".into(), Value::Array(vec![map.clone(), list.clone()]))]);
    for value in leaves.into_iter().chain([list, map, deep]) {
        assert_eq!(AnyValueRef::parse(&written(&value)).to_value(), value);
    }
}

#[test]
fn the_last_value_counts() {
    let both = [written(&Value::Int(1)), written(&Value::Bool(true))].concat();
    assert_eq!(AnyValueRef::parse(&both), AnyValueRef::Bool(true));
    // A KeyValue's value in two parts is one message: an empty part changes nothing.
    let mut entry = Vec::new();
    put_bytes(&mut entry, 1, b"k");
    put_bytes(&mut entry, 2, &both);
    put_bytes(&mut entry, 2, &[]);
    assert_eq!(KeyValueRef::parse(&entry), KeyValueRef { key: b"k", value: AnyValueRef::Bool(true) });
}

#[test]
fn text_need_not_be_utf8() {
    let mut any = Vec::new();
    put_bytes(&mut any, 1, &[b'a', 0xff]);
    assert_eq!(AnyValueRef::parse(&any).as_str(), Some(&[b'a', 0xff][..]));
    assert_eq!(AnyValueRef::parse(&any).to_value(), Value::String("a\u{fffd}".into()));
}

#[test]
fn bytes_that_no_index_has_seen_do_not_exhaust_the_stack() {
    let mut any = Vec::new();
    for _ in 0..1_000 {
        let inner = std::mem::take(&mut any);
        put_message(&mut any, 5, |buf| put_bytes(buf, 1, &inner));
    }
    let mut depth = 0;
    let mut value = AnyValueRef::parse(&any).to_value();
    while let Value::Array(mut list) = value {
        depth += 1;
        value = list.pop().unwrap();
    }
    assert_eq!(depth, MAX_VALUE_DEPTH);
}

#[test]
fn maps_look_up_the_first_of_equal_keys() {
    let entries = vec![("k".to_owned(), Value::Int(1)), ("k".to_owned(), Value::Int(2))];
    let any = written(&Value::Map(entries));
    let AnyValueRef::Map(map) = AnyValueRef::parse(&any) else { panic!("a map") };
    assert_eq!(map.get("k"), Some(AnyValueRef::Int(1)));
    assert_eq!(map.get("x"), None);
    assert_eq!(map.iter().count(), 2);
}

#[test]
fn a_key_in_any_form_is_found() {
    let entry = |fields: &[(u32, &[u8])]| {
        let mut buf = Vec::new();
        put_message(&mut buf, 9, |buf| fields.iter().for_each(|(field, bytes)| put_bytes(buf, *field, bytes)));
        buf
    };
    let long = [b'x'; 200];
    let any = written(&Value::Bool(true));
    let long_any = written(&Value::Bytes(vec![0; 300]));
    for (fields, key) in [
        (&[(1, &b"k"[..]), (2, &any)][..], &b"k"[..]),
        (&[(2, &any), (1, b"k")], b"k"),
        (&[(1, b"k")], b"k"),
        (&[(1, b"k"), (2, &any), (1, b"last")], b"last"),
        (&[(1, b"k"), (2, &long_any)], b"k"),
        (&[(1, &long), (2, &any)], &long),
        (&[(2, &any)], b""),
        (&[], b""),
    ] {
        let message = entry(fields);
        assert!(Attributes::new(&message, 9).find_key(key).is_some(), "{fields:?}");
        assert_eq!(Attributes::new(&message, 9).find_key(b"other"), None);
        assert_eq!(Attributes::new(&message, 9).next().unwrap().key, key);
    }
}
