//! Escapes in strings that the language has and the engine's parser does not: a character beyond U+FFFF as a pair of
//! surrogates (`\ud83c\udf5b`), as JSON writes it, and any character by its number in braces (`\u{1f35b}`).

use std::{borrow::Cow, fmt::Write};

use crate::limits::string_end;

/// The document with such escapes as the characters that they mean. Whatever is none stays, and is the parser's to refuse.
pub(super) fn resolved(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let (bytes, mut out, mut at, mut copied) = (text.as_bytes(), String::new(), 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'#' => at += text[at..].find(['\n', '\r']).unwrap_or(text.len() - at),
            b'"' => {
                let end = string_end(bytes, at).min(text.len());
                if !text[at..].starts_with("\"\"\"") {
                    out.push_str(&text[copied..at]);
                    string(&mut out, &text[at..end]);
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

fn string(out: &mut String, mut rest: &str) {
    while let Some(backslash) = rest.find('\\') {
        out.push_str(&rest[..backslash]);
        rest = &rest[backslash..];
        if let Some((character, after)) = escape(rest) {
            push(out, character);
            rest = after;
        } else {
            let taken = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
            out.push_str(&rest[..taken]);
            rest = &rest[taken..];
        }
    }
    out.push_str(rest);
}

/// The character of one of these escapes at the text's beginning, and what follows it.
fn escape(text: &str) -> Option<(char, &str)> {
    if let Some(braced) = text.strip_prefix("\\u{") {
        let (digits, after) = braced.split_once('}')?;
        return Some((char::from_u32(number(digits)?)?, after));
    }
    let (high, after) = unit(text)?;
    let (low, after) = unit(after)?;
    let pair = char::decode_utf16([high, low]).next()?.ok()?;
    // Two characters of their own are none of ours.
    (u32::from(pair) > 0xffff).then_some((pair, after))
}

fn unit(text: &str) -> Option<(u16, &str)> {
    let digits = text.strip_prefix("\\u")?;
    let (digits, after) = digits.split_at_checked(4)?;
    Some((number(digits)?.try_into().ok()?, after))
}

fn number(digits: &str) -> Option<u32> {
    let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    all.then(|| u32::from_str_radix(digits, 16).ok())?
}

/// As itself, or, lest it end the string, as an escape that the parser knows.
fn push(out: &mut String, character: char) {
    if character.is_ascii() {
        // Writing to a string cannot fail.
        let _infallible = write!(out, "\\u{:04x}", u32::from(character));
    } else {
        out.push(character);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_character_in_a_string_may_be_written_in_each_way() {
        for written in [
            r"\ud83c\udf5b",
            r"\uD83C\uDF5B",
            r"\u{1f35b}",
            r"\u{01F35B}",
            "🍛",
        ] {
            let document = format!(r#"{{ a(b: "x {written} \" y") }}"#);
            assert_eq!(resolved(&document), r#"{ a(b: "x 🍛 \" y") }"#);
        }
        assert_eq!(
            resolved(r#"{ a(b: "\u{22}\u{a}\u{fc}") }"#),
            r#"{ a(b: "\u0022\u000aü") }"#
        );
    }

    #[test]
    fn whatever_is_no_such_escape_stays() {
        for text in [
            r#"{ a(b: "\u00fc \\ud83c\\udf5b \ud83c \udf5b\ud83c \u{110000} \u{} \u{d83c} \u{zz} \u{1") }"#,
            r#"{ a(b: """\ud83c\udf5b""") }"#,
            "{ a # \"\\ud83c\\udf5b\n }",
            r#"{ a(b: "\ud83c\u"#,
            r#"{ a(b: "\u🍛"#,
        ] {
            assert_eq!(resolved(text), text);
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in r#"["\\u{}#🍛dD83cfF5b \n]{0,40}"#) {
            resolved(&text);
        }
    }
}
