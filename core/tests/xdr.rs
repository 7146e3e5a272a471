//! Layouts run over bodies: values by value, and every way in which a body can be wrong.

mod wire;

use nfsrpc_core::batch::exchange_flag::CALL_CUT;
use nfsrpc_core::decoder::Batch;
use nfsrpc_core::xdr::{ColumnValues, Kind, Layout, Layouts, RawOp, Table, code};
use wire::*;

fn op(code: u8, a: i64, b: i64, c: i64) -> RawOp {
    (code, a, b, c, Vec::new())
}

fn table(name: &str, columns: &[(&str, Kind)]) -> Table {
    Table::new(name, &columns.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect::<Vec<_>>())
}

fn run(ops: &[RawOp], tables: Vec<Table>, body: &[u8]) -> Batch {
    let mut layouts = Layouts::default();
    layouts.add(PROG, 4, 1, false, Layout::new(ops, Some(0), 1024, &tables).expect("a layout"));
    let mut wire = Wire::default();
    wire.udp(0.0, (CLIENT, 900), (SERVER, 111), &call(1, 1, body));
    decode(&wire.bytes, usize::MAX, layouts, tables)
}

fn values(batch: &Batch, table: usize, column: usize) -> Vec<Option<u64>> {
    let column = &batch.decoded[table].columns[column];
    let all: Vec<u64> = match &column.values {
        ColumnValues::Narrow(values) => values.iter().map(|value| u64::from(*value)).collect(),
        ColumnValues::Wide(values) => values.clone(),
    };
    all.into_iter().zip(&column.valid).map(|(value, valid)| valid.then_some(value)).collect()
}

#[test]
fn scalars_and_strings() {
    let tables = vec![table("t", &[("a", Kind::U32), ("b", Kind::U64), ("c", Kind::Bool), ("d", Kind::Bytes)])];
    let ops = [
        op(code::INT32, 0, 0, 0),
        op(code::INT64, 1, 0, 0),
        op(code::BOOL, 2, 0, 0),
        op(code::OPAQUE, 3, 16, 0),
        op(code::DONE, 0, 0, 0),
    ];
    let body = [words(&[7, 1, 2, 1, 5]), b"hello\0\0\0".to_vec()].concat();
    let batch = run(&ops, tables, &body);
    let first: Vec<_> = (0..4).map(|column| values(&batch, 0, column)[0]).collect();
    assert_eq!(first, [Some(7), Some(1 << 32 | 2), Some(1), Some(0)]);
    assert_eq!(batch.strings, [b"hello"]);
    assert!(kinds(&batch).is_empty());
}

#[test]
fn the_arm_not_taken_is_null() {
    let tables = vec![table("t", &[("which", Kind::U32), ("one", Kind::U32), ("two", Kind::U32)])];
    let union: RawOp = (code::UNION, 0, 0, -1, vec![(1, 1), (2, 3)]);
    let ops =
        [union, op(code::INT32, 1, 0, 0), op(code::JUMP, 4, 0, 0), op(code::INT32, 2, 0, 0), op(code::DONE, 0, 0, 0)];
    let batch = run(&ops, tables.clone(), &words(&[2, 9]));
    assert_eq!((values(&batch, 0, 1)[0], values(&batch, 0, 2)[0]), (None, Some(9)));
    assert_eq!(kinds(&run(&ops, tables, &words(&[3, 9]))), ["xdr-union"]);
}

#[test]
fn a_linked_list_is_rows_of_a_child_table() {
    let tables = vec![table("t", &[("after", Kind::U32)]), table("t.items", &[("x", Kind::U32)])];
    let ops = [
        op(code::LIST, 1, 0, 3),
        op(code::INT32, 0, 0, 0),
        op(code::ITEM_END, 0, 0, 0),
        op(code::INT32, 0, 0, 0),
        op(code::DONE, 0, 0, 0),
    ];
    let batch = run(&ops, tables, &words(&[1, 10, 1, 20, 0, 99]));
    assert_eq!(values(&batch, 1, 0), [Some(10), Some(20)]);
    assert_eq!(batch.decoded[1].indices, [0, 1]);
    assert_eq!(values(&batch, 0, 0), [Some(99)]);
}

#[test]
fn an_item_of_a_list_within_a_list_names_the_outer_item() {
    let tables = vec![table("t", &[]), table("t.outer", &[("x", Kind::U32)]), table("t.inner", &[("y", Kind::U32)])];
    let inner = [op(code::ARRAY, 2, 9, 5), op(code::INT32, 0, 0, 0), op(code::ITEM_END, 0, 0, 0)];
    let ops = [
        &[op(code::LIST, 1, 0, 6), op(code::INT32, 0, 0, 0)][..],
        &inner,
        &[op(code::ITEM_END, 0, 0, 0), op(code::DONE, 0, 0, 0)],
    ]
    .concat();
    let batch = run(&ops, tables, &words(&[1, 10, 2, 100, 101, 1, 20, 0, 1, 30, 1, 300, 0]));
    assert_eq!(
        (values(&batch, 1, 0), values(&batch, 2, 0)),
        (vec![Some(10), Some(20), Some(30)], vec![Some(100), Some(101), Some(300)])
    );
    assert_eq!((&batch.decoded[2].indices[..], &batch.decoded[2].outers[..]), (&[0, 1, 0][..], &[0, 0, 2][..]));
    assert_eq!(batch.decoded[1].outers, [u32::MAX; 3]);
}

#[test]
fn a_closed_union_reports_what_is_in_no_arm() {
    let ops = |closed| [(code::UNION, 0, closed, 2, vec![(1, 1)]), op(code::INT32, 1, 0, 0), op(code::DONE, 0, 0, 0)];
    let read = |closed, value| {
        let tables = vec![table("t", &[("which", Kind::I32), ("arm", Kind::U32)])];
        let batch = run(&ops(closed), tables, &words(&[value]));
        (values(&batch, 0, 0), kinds(&batch))
    };
    assert_eq!(read(1, 7), (vec![Some(7)], vec!["xdr-enum"]));
    assert_eq!(read(0, 7), (vec![Some(7)], vec![]));
}

#[test]
fn what_can_be_wrong_with_a_body() {
    let one = |kind| vec![table("t", &[("a", kind)])];
    let cases: [(&str, RawOp, Kind, Vec<u8>); 5] = [
        ("xdr-length", op(code::OPAQUE, 0, 4, 0), Kind::Bytes, words(&[5, 0, 0])),
        ("xdr-bool", op(code::BOOL, 0, 0, 0), Kind::Bool, words(&[2])),
        ("xdr-short", op(code::INT64, 0, 0, 0), Kind::U64, words(&[1])),
        ("xdr-trailing", op(code::INT32, 0, 0, 0), Kind::U32, words(&[1, 2])),
        ("xdr-enum", (code::ENUM, 0, 0, 0, vec![(0, 0), (1, 0)]), Kind::U32, words(&[7])),
    ];
    for (kind, raw, column, body) in cases {
        let batch = run(&[raw, op(code::DONE, 0, 0, 0)], one(column), &body);
        assert_eq!(kinds(&batch), [kind], "{kind}");
        assert_eq!(batch.decoded[0].owners.len(), 1, "{kind}");
    }
}

#[test]
fn bulk_data_is_measured_and_not_stored() {
    let tables = vec![table("t", &[("length", Kind::U32), ("after", Kind::U32)])];
    let ops = [op(code::DATA, 0, 1 << 20, 0), op(code::INT32, 1, 0, 0), op(code::DONE, 0, 0, 0)];
    let body = [words(&[6]), vec![1; 8], words(&[3])].concat();
    let batch = run(&ops, tables, &body);
    assert_eq!((values(&batch, 0, 0)[0], values(&batch, 0, 1)[0]), (Some(6), Some(3)));
    assert!(batch.strings.is_empty() && kinds(&batch).is_empty());
}

#[test]
fn layouts_that_would_not_end_are_refused() {
    let tables = [table("t", &[("a", Kind::U32)])];
    let refused = |ops: &[RawOp]| Layout::new(ops, Some(0), 1024, &tables).expect_err("refused");
    assert!(refused(&[op(code::INT32, 0, 0, 0), op(code::JUMP, 0, 0, 0)]).contains("not further on"));
    let into_a_list = [
        op(code::JUMP, 2, 0, 0),
        op(code::LIST, -1, 0, 4),
        op(code::INT32, -1, 0, 0),
        op(code::ITEM_END, 0, 0, 0),
        op(code::DONE, 0, 0, 0),
    ];
    assert!(refused(&into_a_list).contains("in the same list"));
    assert!(refused(&[op(code::INT32, 5, 0, 0)]).contains("column 5"));
    assert!(refused(&[op(code::OPAQUE, 0, 4, 0)]).contains("kind"));
    assert!(refused(&[op(code::ITEM_END, 0, 0, 0)]).contains("not begun"));
    assert!(refused(&[op(99, 0, 0, 0)]).contains("unknown code"));
}

#[test]
fn items_without_bytes_do_not_loop() {
    let tables = vec![table("t", &[("a", Kind::U32)])];
    let ops = [op(code::ARRAY, -1, i64::from(u32::MAX), 2), op(code::ITEM_END, 0, 0, 0), op(code::DONE, 0, 0, 0)];
    assert_eq!(kinds(&run(&ops, tables, &words(&[u32::MAX]))), ["xdr-length"]);
}

/// RPCSEC_GSS credential: version 1, DATA, sequence 5, the service, and a context handle.
fn gss_call(service: u32, args: &[u8]) -> Vec<u8> {
    [words(&[1, 0, 2, PROG, 4, 1, 6, 24, 1, 0, 5, service, 4, 0xabcd, 6, 4, 0x1234]), args.to_vec()].concat()
}

#[test]
fn gss_bodies_are_opened_with_integrity_and_left_with_privacy() {
    let ops = [op(code::INT32, 0, 0, 0), op(code::DONE, 0, 0, 0)];
    let tables = vec![table("t", &[("a", Kind::U32)])];
    let decoded = |message: &[u8]| {
        let mut layouts = Layouts::default();
        layouts.add(PROG, 4, 1, false, Layout::new(&ops, Some(0), 1024, &tables).expect("a layout"));
        let mut wire = Wire::default();
        wire.udp(0.0, (CLIENT, 900), (SERVER, 111), message);
        let batch = decode(&wire.bytes, usize::MAX, layouts, tables.clone());
        (values(&batch, 0, 0), rows(&batch)[0].flags & nfsrpc_core::batch::exchange_flag::ENCRYPTED != 0)
    };
    assert_eq!(decoded(&gss_call(1, &words(&[77]))), (vec![Some(77)], false));
    assert_eq!(decoded(&gss_call(2, &words(&[8, 5, 77, 4, 0xeeee]))), (vec![Some(77)], false));
    assert_eq!(decoded(&gss_call(3, &words(&[8, 5, 77]))), (vec![], true));
}

#[test]
fn secondary_rows_and_strings_leave_room_for_others() {
    use nfsrpc_core::strings::{MAX_STRINGS, Strings};
    let mut strings = Strings::default();
    let numbers = (0..MAX_STRINGS as u32 / 2 + 1).map(|n| strings.intern(&n.to_be_bytes(), true));
    assert_eq!(numbers.filter(Option::is_none).count(), 1);
    assert!(strings.intern(b"owner", false).is_some());
    assert!(strings.intern(b"owner", true).is_some());
    assert!(strings.intern(b"name", true).is_none());
}

#[test]
fn an_optional_item_is_there_or_not() {
    let tables = || vec![table("t", &[("a", Kind::U32), ("after", Kind::U32)])];
    let ops =
        [op(code::OPTIONAL, 2, 0, 0), op(code::INT32, 0, 0, 0), op(code::INT32, 1, 0, 0), op(code::DONE, 0, 0, 0)];
    let read = |body: &[u32]| {
        let batch = run(&ops, tables(), &words(body));
        (values(&batch, 0, 0)[0], values(&batch, 0, 1)[0], kinds(&batch))
    };
    assert_eq!(read(&[1, 5, 6]), (Some(5), Some(6), vec![]));
    assert_eq!(read(&[0, 6]), (None, Some(6), vec![]));
    assert_eq!(read(&[2, 5, 6]), (None, None, vec!["xdr-bool"]));
}

#[test]
fn bytes_are_padded_and_as_long_as_declared() {
    let tables = || vec![table("t", &[("fixed", Kind::Bytes), ("opaque", Kind::Bytes), ("after", Kind::U32)])];
    let ops = [op(code::FIXED, 0, 5, 0), op(code::OPAQUE, 1, 3, 0), op(code::INT32, 2, 0, 0), op(code::DONE, 0, 0, 0)];
    let body = |size: u32| [b"fixed\0\0\0".to_vec(), words(&[size]), b"abcd".to_vec(), words(&[9])].concat();
    let batch = run(&ops, tables(), &body(3));
    assert_eq!(batch.strings, [&b"fixed"[..], b"abc"]);
    assert_eq!((values(&batch, 0, 2), kinds(&batch)), (vec![Some(9)], vec![]));
    let longer = run(&ops, tables(), &body(4));
    assert_eq!((longer.strings, values(&batch, 0, 2).len()), (vec![b"fixed".to_vec()], 1));
    assert_eq!(longer.oddities.iter().map(|row| (row.kind, row.detail)).collect::<Vec<_>>(), [("xdr-length", 12)]);
}

#[test]
fn arrays_have_the_items_that_they_say_and_fixed_ones_those_declared() {
    let read = |list: RawOp, body: &[u32]| {
        let tables = vec![table("t", &[("after", Kind::U32)]), table("t.items", &[("x", Kind::U32)])];
        let item = op(code::INT32, list.1.min(0), 0, 0);
        let ops = [list, item, op(code::ITEM_END, 0, 0, 0), op(code::INT32, 0, 0, 0)];
        let batch = run(&ops, tables, &words(body));
        let outside = batch.decoded[1].outers.iter().all(|outer| *outer == u32::MAX);
        assert!(outside, "an item of no list within a list");
        (values(&batch, 1, 0), values(&batch, 0, 0)[0], kinds(&batch))
    };
    let all = (vec![Some(7), Some(8)], Some(9), vec![]);
    assert_eq!(read(op(code::ARRAY, 1, 2, 3), &[2, 7, 8, 9]), all);
    assert_eq!(read(op(code::FIXED_ARRAY, 1, 2, 3), &[7, 8, 9]), all);
    assert_eq!(read(op(code::ARRAY, 1, 2, 3), &[0, 9]), (vec![], Some(9), vec![]));
    assert_eq!(read(op(code::ARRAY, 1, 1, 3), &[2, 7, 8, 9]), (vec![], None, vec!["xdr-length"]));
    assert_eq!(read(op(code::LIST, -1, 0, 3), &[1, 7, 0, 9]), (vec![], Some(9), vec![]));
}

#[test]
fn values_of_an_enum_are_those_declared_or_any() {
    let read = |known: Vec<(i64, i64)>, value: u32| {
        let ops = [(code::ENUM, 0, 0, 0, known), op(code::END, 0, 0, 0)];
        let batch = run(&ops, vec![table("t", &[("a", Kind::I32)])], &words(&[value, 5]));
        (values(&batch, 0, 0)[0], kinds(&batch))
    };
    assert_eq!(read(vec![(9, 0), (2, 0), (5, 0)], 2), (Some(2), vec![]));
    assert_eq!(read(vec![(9, 0), (2, 0), (5, 0)], 3), (Some(3), vec!["xdr-enum"]));
    assert_eq!(read(vec![], 3), (Some(3), vec![]));
}

#[test]
fn a_body_may_be_cut_by_the_capture_and_not_by_its_sender() {
    let ops = [op(code::INT32, 0, 0, 0), op(code::INT32, 1, 0, 0), op(code::DONE, 0, 0, 0)];
    let read = |missing: usize| {
        let (mut wire, mut layouts) = (Wire::default(), Layouts::default());
        let tables = vec![table("t", &[("a", Kind::U32), ("b", Kind::U32)])];
        layouts.add(PROG, 4, 1, false, Layout::new(&ops, Some(0), 1024, &tables).expect("a layout"));
        let message = call(1, 1, &words(&[7, 8]));
        wire.snaplen = 28 + message.len() - missing;
        wire.udp(0.0, (CLIENT, 900), (SERVER, 111), &message);
        let batch = decode(&wire.bytes, usize::MAX, layouts, tables);
        (values(&batch, 0, 0)[0], values(&batch, 0, 1)[0], rows(&batch)[0].flags & CALL_CUT != 0, kinds(&batch))
    };
    assert_eq!(read(0), (Some(7), Some(8), false, vec![]));
    assert_eq!(read(4), (Some(7), None, true, vec![]));
    assert_eq!(read(5), (None, None, true, vec![]));
}

#[test]
fn a_status_is_that_of_its_exchange() {
    let read = |ops: &[RawOp], results: &[u32]| {
        let (mut wire, mut layouts) = (Wire::default(), Layouts::default());
        layouts.add(PROG, 4, 1, true, Layout::new(ops, None, 1024, &[]).expect("a layout"));
        wire.udp(0.0, (CLIENT, 900), (SERVER, 111), &call(1, 1, &[]));
        wire.udp(0.1, (SERVER, 111), (CLIENT, 900), &reply(1, &words(results)));
        rows(&decode(&wire.bytes, usize::MAX, layouts, vec![]))[0].status
    };
    let status = op(code::STATUS, 0, 0, 0);
    let ops = [op(code::INT32, -1, 0, 0), op(code::INT32, -1, 0, 0), status, op(code::INT32, -1, 0, 0)];
    assert_eq!(read(&ops, &[5, 70, 9]), 70);
    // What follows it may be missing.
    assert_eq!(read(&ops, &[5, 13]), 13);
    assert_eq!(read(&ops[..2], &[5, 70]), i32::MIN);
}
