//! What stands beside the code fits it: ARCHITECTURE.md and the paper on scale name no path, command, subject, stream,
//! table, program or word that does not exist, and the mutations of the torture run can be applied.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use tiffin_testkit::workspace;

#[test]
fn documents_name_only_what_exists() {
    let project = Project::read();
    for document in ["ARCHITECTURE.md", "docs/scale.md"] {
        let text = fs::read_to_string(workspace().join(document)).expect(document);
        let wrong = unknown(&text, &project);
        assert!(
            wrong.is_empty(),
            "{document} names what does not exist: {wrong:#?}"
        );
    }
}

#[test]
fn a_name_of_each_kind_that_does_not_exist_is_found() {
    let source =
        "CREATE TABLE api.leases (\n \"order.created.{id}\" \"tiffin-api\" Dev, ORDER_CREATED decide(";
    let project = Project {
        paths: ["crates/order", "saga.toml"].map(str::to_owned).into(),
        targets: ["run".to_owned()].into(),
        tables: tables(source),
        words: words(source).map(str::to_owned).collect(),
        source: source.to_owned(),
    };
    let good = "`crates/order`, `crates/order/`, `saga.toml`, `make run`, `order.created.<id>`, `order.>`, \
                `ORDER_CREATED`, `decide`, `tiffin-api`, `tiffin dev`, the table `leases`.";
    assert_eq!(unknown(good, &project), [""; 0]);
    for bad in [
        "`crates/orders`",
        "`saga.yaml`",
        "`make walk`",
        "`order.creation.<id>`",
        "`ORDER_CREATION`",
        "`decided`",
        "`tiffin-apis`",
        "`tiffin develop`",
        "the table `lease`",
        "the table `decide`",
    ] {
        assert_eq!(unknown(bad, &project).len(), 1, "{bad}");
    }
}

#[test]
fn every_mutation_fits_the_sources() {
    let folder = workspace().join("tests/mutations");
    let patches = fs::read_dir(&folder)
        .expect("the mutations")
        .map(|entry| entry.expect("an entry").path());
    let patches: Vec<_> = patches
        .filter(|path| path.extension().is_some_and(|it| it == "patch"))
        .collect();
    assert_eq!(patches.len(), 3, "{patches:?}");
    for patch in patches {
        let mut git = Command::new("git");
        let fits = git
            .args(["apply", "--check"])
            .arg(&patch)
            .current_dir(workspace());
        let output = fits.output().expect("git can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", patch.display());
    }
}

/// What there is.
struct Project {
    /// Files and folders, from the workspace's folder.
    paths: BTreeSet<String>,
    /// The Makefile's targets.
    targets: BTreeSet<String>,
    /// The tables that migrations create.
    tables: BTreeSet<String>,
    /// Every word of the sources.
    words: BTreeSet<String>,
    /// The sources themselves.
    source: String,
}

impl Project {
    fn read() -> Self {
        let mut project = Self {
            paths: BTreeSet::new(),
            targets: BTreeSet::new(),
            tables: BTreeSet::new(),
            words: BTreeSet::new(),
            source: String::new(),
        };
        project.walk(workspace(), "");
        let makefile = fs::read_to_string(workspace().join("Makefile")).expect("a Makefile");
        let targets = makefile.lines().filter_map(|line| line.split_once(':'));
        let names = targets.flat_map(|(names, _)| names.split_whitespace());
        project.targets = names.map(str::to_owned).collect();
        project.words = words(&project.source).map(str::to_owned).collect();
        project.tables = tables(&project.source);
        project
    }

    fn walk(&mut self, folder: &Path, prefix: &str) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with('.') || ["target", "data", "node_modules"].contains(&name.as_str()) {
                continue;
            }
            let path = format!("{prefix}{name}");
            if entry.path().is_dir() {
                self.walk(&entry.path(), &format!("{path}/"));
            } else if !path.starts_with("tests/") && is_source(&name) {
                let text = fs::read_to_string(entry.path()).expect("a text");
                let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
                self.source.extend(code.flat_map(|line| [line, "\n"]));
            }
            self.paths.insert(path);
        }
    }

    /// Whether a name in backticks stands for something; `table` if the text calls it one.
    fn knows(&self, name: &str, table: bool) -> bool {
        if table {
            return self.tables.contains(name);
        }
        if let Some(target) = name.strip_prefix("make ") {
            return self.targets.contains(target);
        }
        if let Some(rest) = name.strip_prefix("tiffin ") {
            return rest
                .split(' ')
                .all(|word| self.source.contains(&capitalised(word)));
        }
        let is_file = Path::new(name).extension().is_some_and(|extension| {
            let known = ["rs", "toml", "md", "proto", "graphql", "yml", "sql"];
            known.iter().any(|known| extension == *known)
        });
        if name.contains('/') && !name.starts_with('/') || is_file {
            return self.paths.contains(name.trim_end_matches('/'));
        }
        // A subject, a route or a name with a variable part is known by what comes before that part.
        let fixed = name
            .split(['<', '>', '*', '{', '(', '…'])
            .next()
            .unwrap_or_default();
        let parts: Vec<&str> = words(fixed).collect();
        let whole = !fixed.contains(['.', '-', '/']);
        !parts.is_empty()
            && parts.iter().all(|part| self.words.contains(*part))
            && (whole || self.source.contains(fixed))
    }
}

fn is_source(name: &str) -> bool {
    [".rs", ".sql", ".proto", ".toml", ".graphql"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

fn tables(source: &str) -> BTreeSet<String> {
    let created = source.split("CREATE TABLE").skip(1);
    created
        .filter_map(|rest| {
            let name = rest.trim_start().trim_start_matches("IF NOT EXISTS").trim_start();
            let name = name.split(['(', ' ', '\n']).next()?;
            Some(name.rsplit('.').next()?.trim_matches('"').to_owned())
        })
        .collect()
}

/// A subcommand is a variant of an enum.
fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    letters
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// The names in backticks that stand for nothing.
fn unknown<'a>(text: &'a str, project: &Project) -> Vec<&'a str> {
    // What stands between fences is a picture, not a name.
    let prose = text.split("```").step_by(2);
    let mut wrong = Vec::new();
    for part in prose {
        let pieces: Vec<&str> = part.split('`').collect();
        for pair in pieces.chunks_exact(2) {
            let table = pair[0].ends_with("table ");
            if !project.knows(pair[1], table) {
                wrong.push(pair[1]);
            }
        }
    }
    wrong
}
