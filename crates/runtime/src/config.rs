//! Reads a command line, the environment and `…_FILE` variables, and says what is wrong in one line.

use std::{env, fs, path::Path};

use clap::{Arg, Command, Parser, error::ContextKind, error::ContextValue, error::ErrorKind};

use crate::Error;

/// Why the command line did not become a configuration.
#[derive(Debug)]
pub enum Stop {
    /// `--help` or `--version`: the text is for standard output, and all is well.
    Said(String),
    /// A setting is wrong.
    Wrong(Error),
}

/// Parses the process' arguments. Every setting `NAME` that has an environment variable may also be given as a file
/// that `NAME_FILE` names (its last line end is dropped); the command line wins over both.
pub fn parse<P: Parser>() -> Result<P, Stop> {
    parse_from(env::args_os(), &|name| {
        env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    })
}

/// Looks up an environment variable.
type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

fn parse_from<P: Parser>(
    arguments: impl IntoIterator<Item = std::ffi::OsString>,
    environment: &Environment<'_>,
) -> Result<P, Stop> {
    let command = with_files(with_numbers(P::command()), environment).map_err(Stop::Wrong)?;
    let mut described = command.clone();
    command
        .try_get_matches_from(arguments)
        .and_then(|matches| P::from_arg_matches(&matches))
        .map_err(|error| stop(&error, &mut described))
}

/// Lets every setting have a value such as -1, so that it is refused as a number and not as an unknown option.
fn with_numbers(command: Command) -> Command {
    let setting = |arg: &Arg| arg.get_env().is_some() && arg.get_action().takes_values();
    command
        .mut_args(|arg| {
            if setting(&arg) {
                arg.allow_negative_numbers(true)
            } else {
                arg
            }
        })
        .mut_subcommands(with_numbers)
}

/// Makes the content of the file that `NAME_FILE` names the default of each setting `NAME`.
fn with_files(mut command: Command, environment: &Environment<'_>) -> Result<Command, Error> {
    for (id, name) in settings(&command) {
        let variable = format!("{name}_FILE");
        let Some(path) = environment(&variable) else {
            continue;
        };
        if environment(&name).is_some() {
            return Err(Error::setting(
                &name,
                format_args!("both {name} and {variable} are set; set one"),
            ));
        }
        let text = fs::read_to_string(Path::new(&path))
            .map_err(|source| Error::setting(&variable, format_args!("cannot read {path}: {source}")))?;
        let value = text.strip_suffix('\n').unwrap_or(&text);
        let value = value.strip_suffix('\r').unwrap_or(value).to_owned();
        command = command.mut_arg(id, |arg| {
            arg.default_value(value).hide_default_value(true).required(false)
        });
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|sub| sub.get_name().to_owned())
        .collect();
    for name in names {
        let sub = command.find_subcommand(&name).cloned().unwrap_or_default();
        let sub = with_files(sub, environment)?;
        command = command.mut_subcommand(&name, |_| sub);
    }
    Ok(command)
}

fn settings(command: &Command) -> Vec<(clap::Id, String)> {
    let named = |arg: &Arg| Some((arg.get_id().clone(), arg.get_env()?.to_str()?.to_owned()));
    command.get_arguments().filter_map(named).collect()
}

fn stop(error: &clap::Error, command: &mut Command) -> Stop {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Said(error.render().to_string()),
        _ => Stop::Wrong(Error::Setting(one_line(error, command))),
    }
}

/// clap's message without its usage, and with the environment variable beside the option.
fn one_line(error: &clap::Error, command: &mut Command) -> String {
    let rendered = error.render().to_string();
    let first = rendered.split("\n\n").next().unwrap_or_default();
    let words: Vec<&str> = first.trim_start_matches("error:").split_whitespace().collect();
    let mut line = words.join(" ");
    command.build();
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(option)) => {
            let found = argument(command, option);
            // A password may be in it.
            if let (Some(ContextValue::String(value)), Some(true)) = (
                error.get(ContextKind::InvalidValue),
                found.map(Arg::is_hide_env_values_set),
            ) {
                line = line.replacen(&format!("value '{value}' for"), "value for", 1);
            }
            if let Some(name) = found.and_then(variable) {
                line = line.replacen(&format!("'{option}'"), &format!("'{option}' ({name})"), 1);
            }
        }
        Some(ContextValue::Strings(missing)) => {
            for option in missing {
                if let Some(name) = argument(command, option).and_then(variable) {
                    line = line.replacen(option, &format!("{option} ({name})"), 1);
                }
            }
        }
        _ => {}
    }
    line
}

fn argument<'a>(command: &'a Command, option: &str) -> Option<&'a Arg> {
    let here = command.get_arguments().find(|arg| arg.to_string() == option);
    here.or_else(|| command.get_subcommands().find_map(|sub| argument(sub, option)))
}

fn variable(arg: &Arg) -> Option<String> {
    Some(arg.get_env()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, io::Write};

    use super::*;
    use crate::Secret;

    #[derive(Debug, Parser)]
    struct Settings {
        #[arg(long, env = "A_TEST_PORT", default_value_t = 7)]
        port: u16,
        #[arg(long, env = "A_TEST_KEY")]
        key: Secret,
        #[arg(long, env = "A_TEST_URL", hide_env_values = true)]
        url: Option<u16>,
    }

    fn read(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, String> {
        let arguments = std::iter::once("program")
            .chain(arguments.iter().copied())
            .map(OsString::from);
        let lookup = |name: &str| {
            environment
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        };
        parse_from(arguments, &lookup).map_err(|stop| match stop {
            Stop::Said(text) => text,
            Stop::Wrong(error) => error.to_string(),
        })
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn a_secret_is_read_from_the_file_that_its_variable_names() {
        let key = file("s3cret \n");
        let settings = read(&[], &[("A_TEST_KEY_FILE", key.path().to_str().unwrap())]).unwrap();
        assert_eq!(settings.key.expose(), "s3cret ");
        assert_eq!(settings.port, 7);
        assert!(!format!("{settings:?}").contains("s3cret"));
    }

    #[test]
    fn the_command_line_wins_over_a_file() {
        let port = file("8");
        let settings = read(
            &["--port", "9", "--key", "k"],
            &[("A_TEST_PORT_FILE", port.path().to_str().unwrap())],
        );
        assert_eq!(settings.unwrap().port, 9);
    }

    #[test]
    fn what_is_not_to_be_shown_is_not_shown_because_it_is_wrong() {
        let wrong = read(&["--key", "k", "--url", "s3cret"], &[]).unwrap_err();
        assert_eq!(
            wrong,
            "invalid value for '--url <URL>' (A_TEST_URL): invalid digit found in string"
        );
    }

    #[test]
    fn what_is_wrong_is_one_line_that_names_the_variable() {
        let port = file("many");
        let wrong = read(
            &["--key", "k"],
            &[("A_TEST_PORT_FILE", port.path().to_str().unwrap())],
        )
        .unwrap_err();
        assert_eq!(
            wrong,
            "invalid value 'many' for '--port <PORT>' (A_TEST_PORT): invalid digit found in string"
        );
        let wrong = read(&["--key", "k", "--port", "-1"], &[]).unwrap_err();
        assert_eq!(
            wrong,
            "invalid value '-1' for '--port <PORT>' (A_TEST_PORT): -1 is not in 0..=65535"
        );
        let wrong = read(&[], &[]).unwrap_err();
        assert_eq!(
            wrong,
            "the following required arguments were not provided: --key <KEY> (A_TEST_KEY)"
        );
        let wrong = read(&[], &[("A_TEST_KEY_FILE", "/nowhere/key")]).unwrap_err();
        assert_eq!(
            wrong,
            "A_TEST_KEY_FILE: cannot read /nowhere/key: No such file or directory (os error 2)"
        );
        let wrong = read(&[], &[("A_TEST_KEY_FILE", "/nowhere/key"), ("A_TEST_KEY", "k")]).unwrap_err();
        assert_eq!(
            wrong,
            "A_TEST_KEY: both A_TEST_KEY and A_TEST_KEY_FILE are set; set one"
        );
    }
}
