//! Where NATS servers are, and as whom to appear there: URLs, and how they are shown.

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;

/// The servers of a URL, or of several with commas between them; or the one that cannot be the URL of a server, as it
/// may be shown.
pub(crate) fn servers(urls: &str) -> Result<Vec<ServerAddr>, String> {
    let server = |url: &str| {
        let server = url.parse().ok().filter(has_host);
        server.ok_or_else(|| without_credentials(url))
    };
    urls.split(',').map(str::trim).map(server).collect()
}

/// The library takes everything for a host that is not too strange for a URL.
fn has_host(server: &ServerAddr) -> bool {
    let host = server.host();
    let letter = |letter: char| letter.is_alphanumeric() || matches!(letter, '-' | '_' | '.' | ':');
    !host.is_empty() && host.chars().all(letter)
}

/// With the user and password, or the token, of the first URL that carries them: the library reads URLs for the
/// address alone, and appears as the same to all servers.
pub(crate) fn with_credentials(options: ConnectOptions, servers: &[ServerAddr]) -> ConnectOptions {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut named = servers
        .iter()
        .filter_map(|server| Some((server.username()?, server.password())));
    match named.next() {
        Some((user, Some(password))) => options.user_and_password(decoded(user), decoded(password)),
        Some((token, None)) => options.token(decoded(token)),
        None => options,
    }
}

/// The URL, or several with commas between them, as it may be shown.
pub fn without_credentials(urls: &str) -> String {
    let shown = |url: &str| match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, server))) => format!("{scheme}://{server}"),
        (None, Some((_, server))) => server.to_owned(),
        (_, None) => url.to_owned(),
    };
    let shown: Vec<_> = urls.split(',').map(str::trim).map(shown).collect();
    shown.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_a_server_is_refused_and_its_password_is_not_told() {
        for good in [
            "nats://127.0.0.1:4222",
            "localhost",
            "tls://me:secret@nats-1.example:4222, [::1]:4222",
        ] {
            assert!(servers(good).is_ok(), "{good}");
        }
        for wrong in [
            "",
            "%%",
            "http://me:secret@127.0.0.1:4222",
            "nats://",
            "one:4222,,two:4222",
            "one two",
        ] {
            let refused = servers(wrong).unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
