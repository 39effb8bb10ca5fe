//! Settings and where they come from: the code, else the environment, else `cloud.toml`, else the default.

use std::{
    fmt, io,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::Duration,
};

use crate::{
    error::{Error, Result},
    mock::Mock,
    names::{BACKEND_VAR, MAX_SLOTS, MOCK_VAR, PROGRESS_VAR, SETTINGS_FILE, SLOTS_VAR},
};

/// Where chunks run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend {
    /// On the calling thread, one after the other, with every value encoded and decoded as elsewhere. For debuggers and unit
    /// tests. A chunk that exits or crashes takes the program with it.
    Inline,
    /// In resident slot processes on this machine. The default.
    Local,
    /// On the whole cloud path, simulated on this machine: see [`Mock`].
    Mock(Mock),
}

impl Backend {
    const ALLOWED: &str = "`inline`, `local` or `mock`";

    /// The whole cloud path on this machine, to be adjusted: see [`Mock`].
    #[must_use]
    pub fn mock() -> Mock {
        Mock::default()
    }

    /// The name that `CLOUD_BACKEND` and `cloud.toml` use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Backend::Inline => "inline",
            Backend::Local => "local",
            Backend::Mock(_) => "mock",
        }
    }

    fn parse(text: &str) -> Option<Backend> {
        match text {
            "inline" => Some(Backend::Inline),
            "local" => Some(Backend::Local),
            "mock" => Some(Backend::Mock(Mock::default())),
            _ => None,
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is shown of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A bar if stderr is a terminal, else nothing.
    Auto,
    Bar,
    Json,
    Off,
}

impl Progress {
    const ALLOWED: &str = "`auto`, `bar`, `json` or `off`";

    fn parse(text: &str) -> Option<Progress> {
        match text {
            "auto" => Some(Progress::Auto),
            "bar" => Some(Progress::Bar),
            "json" => Some(Progress::Json),
            "off" => Some(Progress::Off),
            _ => None,
        }
    }
}

/// What the code asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) backend: Option<Backend>,
    pub(crate) slots: Option<usize>,
}

/// What holds, with every source considered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) backend: Backend,
    /// What was asked for, if anything was.
    pub(crate) slots: Option<usize>,
    pub(crate) progress: Progress,
}

impl Settings {
    /// The settings for one map. The environment is read anew each time, the file once per process.
    pub(crate) fn resolve(asked: &Asked) -> Result<Settings> {
        static FILE: OnceLock<Result<File, Unusable>> = OnceLock::new();
        let file = FILE.get_or_init(|| File::find(&std::env::current_dir().unwrap_or_default()));
        let file = file.as_ref().map_err(|Unusable { path, reason }| Error::SettingsFile {
            path: path.clone(),
            reason: reason.clone(),
        })?;
        Settings::from_sources(
            asked,
            &|name| std::env::var_os(name).map(|v| v.to_string_lossy().into_owned()),
            file,
        )
    }

    fn from_sources(
        asked: &Asked,
        environment: &dyn Fn(&str) -> Option<String>,
        file: &File,
    ) -> Result<Settings> {
        // An empty variable is an unset one, as `CLOUD_SLOTS= program` means.
        let source = |variable: &'static str, key: &'static str| {
            let from_environment = environment(variable).filter(|value| !value.is_empty());
            from_environment
                .map(|value| Given { value, origin: format!("`{variable}` (environment)") })
                .or_else(|| file.get(key))
        };
        let mut backend = match &asked.backend {
            Some(backend) => backend.clone(),
            None => match source(BACKEND_VAR, "backend") {
                Some(given) => given.parse(Backend::parse, Backend::ALLOWED)?,
                None => Backend::Local,
            },
        };
        if let (Backend::Mock(mock), Some(given)) = (&mut backend, source(MOCK_VAR, "mock")) {
            *mock = given.parse(|text| mock.clone().or_as(text), Mock::ALLOWED)?;
        }
        let slots = match asked.slots {
            Some(slots) => {
                let given = Given { value: slots.to_string(), origin: "`.slots(..)`".into() };
                Some(given.parse(parse_slots, &slots_allowed())?)
            }
            None => match source(SLOTS_VAR, "slots") {
                Some(given) => Some(given.parse(parse_slots, &slots_allowed())?),
                None => None,
            },
        };
        let progress = match source(PROGRESS_VAR, "progress") {
            Some(given) => given.parse(Progress::parse, Progress::ALLOWED)?,
            None => Progress::Auto,
        };
        Ok(Settings { backend, slots, progress })
    }
}

/// The cores this process may use, by affinity and cgroup quota. Asked once: it reads four files.
pub(crate) fn usable_cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

/// How long either end of a pipe looks for the other's bytes, giving way to whoever wants the core, before it sleeps. Going
/// to sleep and being woken costs several microseconds each way; a round trip that finds both ends awake takes two. On a
/// single core looking only delays the other.
pub(crate) fn spin() -> Duration {
    if usable_cores() > 1 { Duration::from_micros(25) } else { Duration::ZERO }
}

fn parse_slots(text: &str) -> Option<usize> {
    text.parse().ok().filter(|slots| (1..=MAX_SLOTS).contains(slots))
}

fn slots_allowed() -> String {
    format!("a whole number from 1 to {MAX_SLOTS}")
}

/// A value and where it was given.
struct Given {
    value: String,
    origin: String,
}

impl Given {
    fn parse<T>(self, parse: impl Fn(&str) -> Option<T>, expected: &str) -> Result<T> {
        parse(&self.value).ok_or_else(|| Error::Setting {
            origin: self.origin,
            value: self.value,
            expected: expected.to_string(),
        })
    }
}

/// A settings file that exists and says nothing usable.
#[derive(Debug)]
struct Unusable {
    path: PathBuf,
    reason: String,
}

/// `cloud.toml`, if there is one.
#[derive(Debug, Default)]
struct File {
    path: PathBuf,
    text: String,
    table: toml::Table,
}

impl File {
    const KEYS: [&str; 4] = ["backend", "slots", "progress", "mock"];

    /// The nearest file, from this directory upwards.
    fn find(directory: &Path) -> Result<File, Unusable> {
        for directory in directory.ancestors() {
            let path = directory.join(SETTINGS_FILE);
            match std::fs::read_to_string(&path) {
                Ok(text) => return File::parse(path, text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                // A folder above that may not be looked into has no settings for us.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !path.exists() => {}
                Err(error) => return Err(Unusable { path, reason: error.to_string() }),
            }
        }
        Ok(File::default())
    }

    fn parse(path: PathBuf, text: String) -> Result<File, Unusable> {
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => return Err(Unusable { path, reason: error.to_string().trim_end().to_string() }),
        };
        if let Some(unknown) = table.keys().find(|key| !File::KEYS.contains(&key.as_str())) {
            let reason = format!("`{unknown}` is no setting, expected one of `{}`", File::KEYS.join("`, `"));
            return Err(Unusable { path, reason });
        }
        Ok(File { path, text, table })
    }

    fn get(&self, key: &str) -> Option<Given> {
        let value = match self.table.get(key)? {
            toml::Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        // Top-level keys only, so the line that begins with the key is the one.
        let line = self.text.lines().position(|line| {
            line.trim_start()
                .trim_start_matches('"')
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with('='))
        });
        let line = line.map_or_else(String::new, |line| format!(", line {}", line + 1));
        Some(Given { value, origin: format!("`{key}` ({}{line})", self.path.display()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> File {
        File::parse("cloud.toml".into(), text.into()).unwrap()
    }

    fn message(result: Result<Settings>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn code_beats_environment_beats_file_beats_default() {
        let environment = |name: &str| (name == BACKEND_VAR).then(|| "inline".to_string());
        let nothing = |_: &str| None;
        let toml = file("slots = 3\nbackend = \"local\"\n");
        let asked = Asked { backend: Some(Backend::Local), slots: Some(7) };

        let settings = Settings::from_sources(&asked, &environment, &toml).unwrap();
        assert_eq!((settings.backend, settings.slots), (Backend::Local, Some(7)));
        let settings = Settings::from_sources(&Asked::default(), &environment, &toml).unwrap();
        assert_eq!((settings.backend, settings.slots), (Backend::Inline, Some(3)));
        let settings = Settings::from_sources(&Asked::default(), &nothing, &File::default()).unwrap();
        assert_eq!((settings.backend, settings.progress), (Backend::Local, Progress::Auto));
        assert_eq!(settings.slots, None);
    }

    #[test]
    fn a_wrong_value_names_itself_its_origin_and_what_is_allowed() {
        let environment = |name: &str| (name == SLOTS_VAR).then(|| "many".to_string());
        let nothing = |_: &str| None;
        assert_eq!(
            message(Settings::from_sources(&Asked::default(), &environment, &File::default())),
            "`CLOUD_SLOTS` (environment) is `many`, expected a whole number from 1 to 1024"
        );
        assert_eq!(
            message(Settings::from_sources(
                &Asked::default(),
                &nothing,
                &file("# where\nbackend = \"moon\"\n")
            )),
            "`backend` (cloud.toml, line 2) is `moon`, expected `inline`, `local` or `mock`"
        );
        assert_eq!(
            message(Settings::from_sources(
                &Asked { slots: Some(0), ..Asked::default() },
                &nothing,
                &File::default()
            )),
            "`.slots(..)` is `0`, expected a whole number from 1 to 1024"
        );
    }

    #[test]
    fn an_unknown_key_or_broken_file_is_named() {
        let reason = File::parse("cloud.toml".into(), "slotz = 1".into()).unwrap_err().reason;
        assert_eq!(reason, "`slotz` is no setting, expected one of `backend`, `slots`, `progress`, `mock`");
        let reason = File::parse("cloud.toml".into(), "slots = = 1".into()).unwrap_err().reason;
        assert!(reason.starts_with("TOML parse error at line 1"), "{reason}");
    }

    #[test]
    fn the_nearest_file_upwards_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(folder.path().join(SETTINGS_FILE), "slots = 5").unwrap();
        assert_eq!(File::find(&below).unwrap().get("slots").map(|given| given.value), Some("5".to_string()));
    }
}
