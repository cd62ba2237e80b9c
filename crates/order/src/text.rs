//! Text that people write for people: what can be read, and what only seems to be there or misleads.

use std::{fmt, sync::Arc};

use crate::{InvalidInput, Problem};

pub(crate) const MAX_NOTE_CHARS: usize = 500;

/// What somebody wrote about an order: at most 500 characters that can be read, without white space around them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Note(Arc<str>);

impl Note {
    /// Trims and checks a note; `None` if nothing is left.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidInput> {
        let note = text.trim();
        let problem = if note.is_empty() {
            return Ok(None);
        } else if note.chars().count() > MAX_NOTE_CHARS {
            Problem::NoteTooLong
        } else if note.chars().any(misleads) {
            Problem::Misleading
        } else if !note.chars().any(is_visible) {
            Problem::BlankNote
        } else {
            return Ok(Some(Self(note.into())));
        };
        Err(InvalidInput::new("note", problem))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Control characters, line breaks, and what turns the direction of the text around it, so that a line shows another
/// order of words than it has.
pub(crate) fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}')
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character leaves a trace. Those that do not have their use inside words, as joiners in many scripts and
/// in emoji, but make no text by themselves.
pub(crate) fn is_visible(c: char) -> bool {
    // Unicode's Default_Ignorable_Code_Point, and the blank pattern of Braille.
    let traceless = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    !(traceless || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProductName;

    /// What a text is refused for: as a product's name, and as a note.
    fn problems(text: &str) -> (Option<Problem>, Option<Problem>) {
        let problem = |invalid: InvalidInput| invalid.problem;
        let name = ProductName::parse(text).err().map(problem);
        (name, Note::parse(text).err().map(problem))
    }

    #[test]
    fn words_of_every_script_and_emoji_can_be_read() {
        for text in [
            "Dal",
            "Ragù",
            "שקשוקה",
            "كشري",
            "می\u{200c}خواهم",
            "क\u{94d}\u{200d}ष",
            "ผัด\u{200b}ไทย",
            "👩\u{200d}🍳",
            "☕\u{fe0f}",
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
        ] {
            assert_eq!(problems(text), (None, None), "{text:?}");
        }
    }

    #[test]
    fn what_controls_breaks_or_turns_a_line_is_refused() {
        let ranges = [
            '\u{1}'..='\u{1f}',
            '\u{7f}'..='\u{9f}',
            '\u{202a}'..='\u{202e}',
            '\u{2066}'..='\u{2069}',
        ];
        let single = ['\0', '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}'];
        for c in ranges.into_iter().flatten().chain(single) {
            let misleading = (Some(Problem::Misleading), Some(Problem::Misleading));
            assert_eq!(problems(&format!("Dal{c}Roti")), misleading, "{c:?}");
        }
    }

    #[test]
    fn what_leaves_no_trace_is_no_text() {
        for text in [
            "\u{200b}",
            "\u{feff}\u{200d}",
            "\u{2060} \u{2060}",
            "\u{ad}",
            "\u{3164}",
            "\u{2800}",
            "\u{fe0f}",
            "\u{e0041}",
        ] {
            let blank = (Some(Problem::BlankName), Some(Problem::BlankNote));
            assert_eq!(problems(text), blank, "{text:?}");
        }
    }

    #[test]
    fn a_note_is_trimmed_and_may_be_left_out() {
        assert_eq!(Note::parse(" too late ").unwrap().unwrap().as_str(), "too late");
        for nothing in ["", " ", "\t\n\u{a0}"] {
            assert_eq!(Note::parse(nothing), Ok(None), "{nothing:?}");
        }
    }

    #[test]
    fn a_note_has_at_most_500_characters() {
        assert!(Note::parse(&"ü".repeat(500)).is_ok());
        let refused = Note::parse(&"ü".repeat(501)).unwrap_err();
        assert_eq!(refused.to_string(), "note: a note has at most 500 characters");
    }
}
