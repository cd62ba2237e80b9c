//! Writes an update as the execution result that a subscription's document asks for.

use std::io::Write;

use bytes::{BufMut, Bytes, BytesMut};
use tiffin_graphql::AwsDateTime;

use crate::{
    plan::{Field, Member, Shape},
    update::Change,
};

/// `{"data":{…}}` as the GraphQL engine would answer it.
///
/// Everything written is a name, a code, a UUID, a number or a time, so nothing needs escaping.
pub(crate) fn render(shape: &Shape, change: &Change) -> Bytes {
    let mut out = BytesMut::with_capacity(64 + 48 * shape.members.len());
    put(&mut out, format_args!("{{\"data\":{{\"{}\":", shape.root));
    if shape.members.is_empty() {
        // Everything was left out by a condition: the engine calls an empty object null.
        out.put_slice(b"null");
    } else {
        for (nth, Member { key, field }) in shape.members.iter().enumerate() {
            let opening = if nth == 0 { '{' } else { ',' };
            put(&mut out, format_args!("{opening}\"{key}\":"));
            value(&mut out, *field, change);
        }
        out.put_u8(b'}');
    }
    out.put_slice(b"}}");
    out.freeze()
}

fn value(out: &mut BytesMut, field: Field, change: &Change) {
    match field {
        Field::Typename => out.put_slice(b"\"OrderUpdated\""),
        Field::Id => put(out, format_args!("\"{}\"", change.order)),
        Field::Status => put(out, format_args!("\"{}\"", change.status.as_str())),
        Field::UpdatedAt => put(out, format_args!("\"{}\"", AwsDateTime(change.at))),
        Field::Version => put(out, format_args!("{}", change.version)),
        Field::Reason => match &change.reason {
            Some(reason) => put(out, format_args!("\"{reason}\"")),
            None => out.put_slice(b"null"),
        },
    }
}

fn put(out: &mut BytesMut, text: std::fmt::Arguments<'_>) {
    // Memory does not refuse bytes, and each of these values can be printed.
    let _ = out.writer().write_fmt(text);
}
