//! What is said when everything runs: where it is, and what to try.

use std::{
    env,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde_json::json;
use tiffin_bus::without_credentials;
use tiffin_runtime::Secret;

use super::operator;
use crate::{
    output,
    server::{DEVELOPMENT_KEY, DEVELOPMENT_SERVER},
};

/// What is said of a NATS server that is away.
const NOT_REACHED: &str = "  (not reached yet; orders go on without it)";

/// What is running where.
pub(super) struct Banner {
    pub(super) address: SocketAddr,
    pub(super) tls: bool,
    pub(super) admin: SocketAddr,
    pub(super) nats: String,
    pub(super) nats_reached: bool,
    pub(super) database: String,
    pub(super) data: PathBuf,
    pub(super) api_key: Secret,
    pub(super) operator_key: Secret,
}

impl Banner {
    /// Says it on standard output; if nobody listens there, everything runs all the same.
    pub(super) fn print(&self, json: bool) {
        let _unheard = output::try_line(if json { self.json() } else { self.text() });
    }

    fn json(&self) -> String {
        let base = self.base();
        let object = json!({
            "graphql": format!("{base}/graphql"),
            "webSocket": format!("{}/graphql/ws", base.replacen("http", "ws", 1)),
            "serverSentEvents": format!("{base}/graphql/stream"),
            "admin": format!("http://{}", reachable(self.admin)),
            "nats": without_credentials(&self.nats),
            "natsReached": self.nats_reached,
            "database": self.database,
            "data": self.data,
            "apiKey": self.api_key.expose(),
            "operatorKey": self.operator_key.expose(),
        });
        object.to_string()
    }

    fn text(&self) -> String {
        let base = self.base();
        let admin = reachable(self.admin);
        let key = self.api_key.expose();
        let program = env::args().next().unwrap_or_else(|| "tiffin".to_owned());
        let header = quoted(&format!("x-api-key: {key}"));
        let headers = format!("-H {header} -H 'content-type: application/json'");
        let nats = without_credentials(&self.nats);
        format!(
            r#"
Tiffin is running. This is for development: everybody on this machine can read everything.

  GraphQL        {base}/graphql
  subscriptions  {base}/graphql/stream  {sockets}/graphql/ws
  health         http://{admin}/readyz  http://{admin}/metrics
  NATS           {nats}{reached}
  data           {data}  {database}
  API key        {key}
  operator key   {operator}  (kept in {operator_file})

Place an order:

  curl {base}/graphql {headers} \
    -d '{{"query": "mutation {{ createOrder(input: {{products: [{{name: \"Dal\", quantity: 2}}]}}) {{ id status version }} }}"}}'

Watch it, with its id in place of ID:

  curl -N {base}/graphql/stream {headers} -H 'accept: text/event-stream' \
    -d '{{"query": "subscription {{ onOrderUpdated(id: \"ID\") {{ status version updatedAt }} }}"}}'

Both in one, and what happens on the bus:

  {program} order place Dal:2 --watch{options}
  nats sub --server {nats} 'order.>' --translate '{program} decode'

Ctrl-C stops everything.
"#,
            options = self.options(),
            reached = if self.nats_reached { "" } else { NOT_REACHED },
            sockets = base.replacen("http", "ws", 1),
            data = self.data.display(),
            database = self.database,
            operator = self.operator_key.expose(),
            operator_file = operator::file(&self.data).display(),
        )
    }

    /// What the order commands have to be told, because it is not what they take for granted.
    fn options(&self) -> String {
        let base = self.base();
        let key = self.api_key.expose();
        let mut options = String::new();
        if base != DEVELOPMENT_SERVER {
            options.push_str(" --server ");
            options.push_str(&base);
        }
        if key != DEVELOPMENT_KEY {
            options.push_str(" --api-key ");
            options.push_str(&quoted(key));
        }
        options
    }

    fn base(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", reachable(self.address))
    }
}

/// A text as a shell takes it for one word.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// An address that a client on this machine can connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port()),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(port: u16, key: &str) -> Banner {
        Banner {
            address: ([0, 0, 0, 0], port).into(),
            tls: false,
            admin: ([127, 0, 0, 1], 9464).into(),
            nats: "nats://me:secret@one:4222,two:4222".to_owned(),
            nats_reached: true,
            database: "sqlite:./data".to_owned(),
            data: "./data".into(),
            api_key: Secret::new(key),
            operator_key: Secret::new("another-key"),
        }
    }

    #[test]
    fn addresses_are_those_of_this_machine_and_the_password_of_nats_is_not_shown() {
        let banner = banner(8080, DEVELOPMENT_KEY);
        let text = banner.text();
        for expected in [
            "http://127.0.0.1:8080/graphql",
            "ws://127.0.0.1:8080/graphql/ws",
            "nats://one:4222,two:4222",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(!text.contains("secret"), "{text}");
        assert!(!text.contains(NOT_REACHED), "{text}");
        let json: serde_json::Value = serde_json::from_str(&banner.json()).unwrap();
        assert_eq!(json["graphql"], "http://127.0.0.1:8080/graphql");
    }

    #[test]
    fn the_order_line_names_the_server_and_the_key_where_they_are_not_the_usual_ones() {
        let line = |banner: Banner| {
            let text = banner.text();
            let line = text.lines().find(|line| line.contains("order place")).unwrap();
            line.split_once(" order ").unwrap().1.to_owned()
        };
        assert_eq!(line(banner(8080, DEVELOPMENT_KEY)), "place Dal:2 --watch");
        assert_eq!(
            line(banner(18080, "it's-a-key-of-mine")),
            r"place Dal:2 --watch --server http://127.0.0.1:18080 --api-key 'it'\''s-a-key-of-mine'"
        );
    }
}
