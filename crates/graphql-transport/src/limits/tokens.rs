//! Counts a document's lexical tokens without parsing it.

/// The number of tokens in `text`, or `limit` + 1 as soon as there are more than `limit`. What is not GraphQL is
/// counted somehow: the parser refuses it afterwards.
pub(crate) fn count(text: &str, limit: usize) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut found) = (0, 0);
    while at < bytes.len() {
        at = match bytes[at] {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => {
                at += 1;
                continue;
            }
            b'#' => {
                at = skip(bytes, at, |byte| byte != b'\n' && byte != b'\r');
                continue;
            }
            b'"' => string_end(bytes, at),
            byte if is_word(byte) => skip(bytes, at, is_word),
            b'.' => skip(bytes, at, |byte| byte == b'.'),
            _ => at + 1,
        };
        found += 1;
        if found > limit {
            break;
        }
    }
    found
}

/// Part of a name or a number; bytes outside ASCII are lumped together.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' || byte >= 0x80
}

fn skip(bytes: &[u8], from: usize, wanted: impl Fn(u8) -> bool) -> usize {
    bytes[from..]
        .iter()
        .position(|&byte| !wanted(byte))
        .map_or(bytes.len(), |length| from + length)
}

/// Where the string that begins at `from` ends; the end of the text if it is not closed.
pub(crate) fn string_end(bytes: &[u8], from: usize) -> usize {
    let quote: &[u8] = if bytes[from..].starts_with(br#"""""#) {
        br#"""""#
    } else {
        b"\""
    };
    let mut at = from + quote.len();
    while at < bytes.len() {
        if bytes[at] == b'\\' {
            // In a block string only \""" is an escape, and skipping its first quote is enough there too.
            at += 2;
        } else if bytes[at..].starts_with(quote) {
            return at + quote.len();
        } else {
            at += 1;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn each_name_number_string_and_punctuator_is_one_token() {
        assert_eq!(
            count("query A($a: [Int!] = -1.5) { a(b: \"x } y\") @c ...F }", 100),
            27
        );
        assert_eq!(count("{ a # { b c d\n }", 100), 3);
        assert_eq!(count(r#"{ a(b: """x " \""" y""", c: "\"") }"#, 100), 11);
        assert_eq!(count("", 100), 0);
        assert_eq!(count("\"never closed { a b c", 100), 1);
    }

    #[test]
    fn counting_ends_just_above_the_limit() {
        assert_eq!(count(&"a ".repeat(10_000), 2_000), 2_001);
    }
}
