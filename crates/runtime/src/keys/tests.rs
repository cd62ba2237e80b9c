use time::macros::datetime;

use super::*;

const NOW: OffsetDateTime = datetime!(2030-01-01 00:00:00 UTC);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Who(String);

impl FromStr for Who {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.ends_with("king") {
            Err("there is no such role")
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

fn secret(text: &str) -> Secret {
    Secret::new(text)
}

fn wrong(text: &str) -> String {
    file::parse::<Who>(text).unwrap_err().to_string()
}

/// A file of keys, and the keys in it.
fn loaded(text: &str) -> (tempfile::NamedTempFile, Keys<Who>) {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    let fixed = [(secret("fixed"), Who("operator operator".into()))];
    let keys = Keys::load(Some(file.path()), fixed).unwrap();
    (file, keys)
}

fn revoked(holder: &Holder<Who>) -> bool {
    holder.revoked.is_cancelled()
}

#[test]
fn a_line_as_printed_is_a_line_as_read() {
    let text = format!(
        "# who\n\n{} # the shop\n",
        line("shop", "customer", &secret("one"))
    );
    let keys = file::parse::<Who>(&text).unwrap();
    assert_eq!(keys[0].hash, hash("one"));
    assert_eq!(keys[0].holder.principal.0, "shop customer");
}

#[test]
fn a_key_is_accepted_until_it_expires() {
    let one = line("shop", "customer", &secret("one"));
    let (_file, keys) = loaded(&format!("{one} 2030-01-01T00:00:01Z\n"));
    assert_eq!(keys.holder("one", NOW).unwrap().principal.0, "shop customer");
    assert_eq!(keys.holder("one", NOW + Duration::from_secs(1)), None);
    let fixed = keys.holder("fixed", NOW).unwrap();
    assert_eq!(fixed.principal.0, "operator operator");
    assert_eq!(keys.holder("three", NOW), None);
}

#[test]
fn a_line_that_makes_no_sense_is_named() {
    assert_eq!(
        wrong("\nshop customer"),
        "line 2: expected NAME ROLE SHA256 [EXPIRY]"
    );
    assert_eq!(
        wrong("shop customer 12"),
        "line 1: the hash is not 64 hexadecimal digits"
    );
    let good = line("shop", "customer", &secret("one"));
    assert_eq!(
        wrong(&good.replace("customer", "king")),
        "line 1: there is no such role"
    );
    assert_eq!(
        wrong(&format!("{good} tomorrow")),
        "line 1: the expiry is not a time such as 2030-01-31T00:00:00Z"
    );
    assert_eq!(
        wrong(&format!("{good}\n{good}")),
        "line 2: this key stands in an earlier line already"
    );
}

#[test]
fn what_a_key_was_good_for_ends_when_it_leaves_the_file_or_stands_for_somebody_else() {
    let [stays, goes, moves] = ["stays", "goes", "moves"].map(|key| line("shop", "customer", &secret(key)));
    let (_file, keys) = loaded(&format!("{stays}\n{goes}\n{moves}"));
    let held = ["stays", "goes", "moves", "fixed"].map(|key| keys.holder(key, NOW).unwrap());

    let elsewhere = moves.replace("customer", "kitchen");
    keys.replace(format!("{elsewhere}\n# moved\n{stays} 2031-01-01T00:00:00Z"))
        .unwrap();
    assert_eq!(held.each_ref().map(revoked), [false, true, true, false]);
    assert_eq!(keys.holder("stays", NOW).as_ref(), Some(&held[0]));
    assert!(!revoked(&keys.holder("moves", NOW).unwrap()));
}

#[test]
fn what_a_key_was_good_for_ends_when_it_expires_and_a_later_expiry_begins_anew() {
    let one = line("shop", "customer", &secret("one"));
    let (_file, keys) = loaded(&format!("{one} 2030-01-01T00:00:01Z"));
    let held = keys.holder("one", NOW).unwrap();
    keys.expire(NOW);
    assert!(!revoked(&held));
    keys.expire(NOW + Duration::from_secs(1));
    assert!(revoked(&held));

    keys.replace(one).unwrap();
    assert!(!revoked(&keys.holder("one", NOW).unwrap()));
}

#[test]
fn a_file_that_makes_no_sense_changes_nothing() {
    let (_file, keys) = loaded(&line("shop", "customer", &secret("one")));
    let held = keys.holder("one", NOW);
    keys.replace("rubbish".to_owned()).unwrap_err();
    assert_eq!(keys.holder("one", NOW), held);
    assert!(!revoked(&held.unwrap()));
}

#[tokio::test]
async fn file_and_clock_are_followed() {
    let one = line("shop", "customer", &secret("one"));
    let (file, keys) = loaded(&format!("{one} 2030-01-01T00:00:01Z"));
    let stop = CancellationToken::new();
    let pause = Duration::from_millis(5);
    let following = tokio::spawn(keys.clone().look_every(pause, || NOW, stop.clone()));
    let held = keys.holder("one", NOW).unwrap();

    fs::write(file.path(), format!("{one} 2030-01-01T00:00:00Z")).unwrap();
    tokio::time::timeout(Duration::from_secs(5), held.revoked.cancelled())
        .await
        .unwrap();
    assert_eq!(keys.holder("one", NOW), None);

    stop.cancel();
    following.await.unwrap();
}

#[test]
fn a_file_of_comments_alone_has_no_key() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "# nobody yet\n").unwrap();
    let load = |path| Keys::<Who>::load(path, []).unwrap();
    assert!(load(None).is_empty() && load(Some(file.path())).is_empty());
    let (_file, keys) = loaded("");
    assert!(!keys.is_empty());
    fs::write(file.path(), line("shop", "customer", &secret("one"))).unwrap();
    assert!(!load(Some(file.path())).is_empty());
}
