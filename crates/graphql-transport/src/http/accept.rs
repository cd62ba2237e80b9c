//! Which of the two media types a reply has.

use http::{HeaderMap, HeaderValue, header::ACCEPT};

/// The media type of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`: a reply to a well-formed request has status 200, whatever came of it.
    Json,
    /// `application/graphql-response+json`: a refusal has a status of its own.
    GraphqlResponse,
}

impl Media {
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json => "application/json; charset=utf-8",
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
        })
    }

    fn named(range: &str) -> Option<Self> {
        match range {
            "application/graphql-response+json" => Some(Self::GraphqlResponse),
            "application/json" | "application/*" | "*/*" => Some(Self::Json),
            _ => None,
        }
    }
}

/// The type that the client likes best, the first of equals; none if it accepts neither. Without `Accept`, and where
/// anything goes, it is JSON.
pub(super) fn negotiate(headers: &HeaderMap) -> Option<Media> {
    let mut best: Option<(Media, f32)> = None;
    let mut asked = false;
    for value in headers.get_all(ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            asked |= !range.trim().is_empty();
            let mut parts = range.split(';').map(str::trim);
            let name = parts.next().unwrap_or_default().to_ascii_lowercase();
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .map_or(1.0, |q| q.parse().unwrap_or(0.0));
            if let Some(media) = Media::named(&name)
                && weight > best.map_or(0.0, |(_, weight)| weight)
            {
                best = Some((media, weight));
            }
        }
    }
    if asked {
        best.map(|(media, _)| media)
    } else {
        Some(Media::Json)
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, header::ACCEPT};

    use super::{Media, negotiate};

    fn of(accept: &str) -> Option<Media> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().expect("a header"));
        negotiate(&headers)
    }

    #[test]
    fn json_is_the_answer_to_no_preference() {
        assert_eq!(negotiate(&HeaderMap::new()), Some(Media::Json));
        assert_eq!(of("*/*"), Some(Media::Json));
        assert_eq!(of("application/*;q=0.1, text/html"), Some(Media::Json));
    }

    #[test]
    fn the_greatest_weight_wins_and_then_the_first() {
        assert_eq!(
            of("application/graphql-response+json, application/json;q=0.9"),
            Some(Media::GraphqlResponse)
        );
        assert_eq!(
            of("application/json;q=0.9, application/graphql-response+json"),
            Some(Media::GraphqlResponse)
        );
        assert_eq!(
            of("application/json, application/graphql-response+json"),
            Some(Media::Json)
        );
        assert_eq!(
            of("application/graphql-response+json; charset=utf-8"),
            Some(Media::GraphqlResponse)
        );
    }

    #[test]
    fn what_is_not_accepted_is_not_sent() {
        assert_eq!(of("text/html"), None);
        assert_eq!(of("application/json;q=0"), None);
    }
}
